/* What every test shares: cmocka with the headers it needs, and a folder to write in.
   PF_TEST=PATTERN runs only the tests of a program whose names match ('*' and '?' as in a shell). */
#ifndef PF_TESTS_TEST_H
#define PF_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"

enum { TEST_SKIPPED = 77 };     /* exit status of a test that cannot run here */

/* A fresh folder, the same for the whole process, removed with all in it when the process exits. */
const char *test_folder(void);
/* test_folder() + "/" + name; borrowed, valid for the next 8 calls. */
const char *test_path(const char *name);

/* Files and folders in a folder; 0 when there is none. */
unsigned test_names_in(const char *path);

/* How often a test does what it does: the number in the environment variable, else the long one where PF_LONG is
   set. */
uint64_t test_count(const char *variable, uint64_t usually, uint64_t when_long);

/* From now on this process and its children have a disk of that size at the path, which goes away with them.  False
   where that cannot be had: a user who is not root needs a kernel that lets him make a user namespace. */
bool test_mount_disk(const char *path, size_t bytes);

/* From now on this process, which has one thread, may have so many; for a child that ends with what it tests.  False
   where that cannot be had. */
bool test_limit_threads(unsigned count);

/* Of what a test draws: the environment's PF_SEED, else 1, or with PF_LONG another one each time. */
uint64_t test_seed(void);
/* Of what is drawn anew each time the test runs: the environment's PF_SEED, else by the clock.  It is printed. */
uint64_t test_seed_of_now(void);

/* Fails the test with the message of err unless status is PF_OK. */
#define test_ok(status, err) test_is_ok((status), (err), __FILE__, __LINE__)
/* Fails the test unless status is the wanted one and err says so in a sentence; clears err. */
#define test_fails(status, wanted, err) test_is_failure((status), (wanted), (err), __FILE__, __LINE__)

void test_is_ok(pf_status status, const pf_err *err, const char *file, int line);
void test_is_failure(pf_status status, pf_status wanted, pf_err *err, const char *file, int line);

#endif
