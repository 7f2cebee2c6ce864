#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "proto/manifest.h"

static const char PUBLIC_WORD[] = "planfarm-key ";
static const char SECRET_WORD[] = "planfarm-secret-key ";

enum { SEED_BYTES = crypto_sign_SEEDBYTES, KEY_FILE_BYTES = 512 };

static pf_status key_from_seed(const char *name, const uint8_t seed[SEED_BYTES], pf_signing_key *out, pf_err *err)
{
    memset(out, 0, sizeof *out);
    if (!pf_text_is_name(name, sizeof out->public_key.name) || strchr(name, '/'))
        return PF_FAIL(err, PF_INVALID, "\"%s\" is no name for a key", name);
    memcpy(out->public_key.name, name, strlen(name));
    if (crypto_sign_seed_keypair(out->public_key.byte, out->secret, seed) != 0)
        return PF_FAIL(err, PF_INTERNAL, "libsodium makes no key");
    return PF_OK;
}

pf_status pf_signing_key_new(const char *name, pf_signing_key *out, pf_err *err)
{
    uint8_t   seed[SEED_BYTES] = { 0 };
    pf_status st = PF_OK;

    if (sodium_init() < 0)
        return PF_FAIL(err, PF_INTERNAL, "libsodium does not start");
    randombytes_buf(seed, sizeof seed);
    st = key_from_seed(name, seed, out, err);
    sodium_memzero(seed, sizeof seed);
    return st;
}

void pf_signing_key_clear(pf_signing_key *key)
{
    sodium_memzero(key, sizeof *key);
}

/* "<word><name> <base64>\n" */
static pf_status write_line(const char *word, const char *name, const uint8_t *data, size_t bytes, pf_buf *out,
                            pf_err *err)
{
    char base64[128] = "";

    sodium_bin2base64(base64, sizeof base64, data, bytes, sodium_base64_VARIANT_ORIGINAL);
    pf_buf_printf(out, "%s%s %s\n", word, name, base64);
    sodium_memzero(base64, sizeof base64);
    return out->failed ? PF_FAIL_MEMORY(err, out->size) : PF_OK;
}

static pf_status parse_line(const char *word, const char *text, size_t bytes, char name[PF_KEY_NAME_BYTES],
                            uint8_t *data, size_t data_bytes, pf_err *err)
{
    size_t      word_bytes = strlen(word), got = 0;
    const char *blank = NULL, *base64_end = NULL;

    if (bytes > word_bytes && memcmp(text, word, word_bytes) == 0 && text[bytes - 1] == '\n')
        blank = memchr(text + word_bytes, ' ', bytes - word_bytes);
    if (!blank || (size_t)(blank - text) - word_bytes >= PF_KEY_NAME_BYTES)
        return PF_FAIL(err, PF_CORRUPT, "%zu bytes are no key", bytes);
    memcpy(name, text + word_bytes, (size_t)(blank - text) - word_bytes);
    if (!pf_text_is_name(name, PF_KEY_NAME_BYTES) ||
        sodium_base642bin(data, data_bytes, blank + 1, (size_t)(text + bytes - 1 - (blank + 1)), NULL, &got,
                          &base64_end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got != data_bytes || base64_end != text + bytes - 1)
        return PF_FAIL(err, PF_CORRUPT, "%zu bytes are no key", bytes);
    return PF_OK;
}

pf_status pf_public_key_write(const pf_public_key *key, pf_buf *out, pf_err *err)
{
    return write_line(PUBLIC_WORD, key->name, key->byte, sizeof key->byte, out, err);
}

pf_status pf_public_key_parse(const char *text, size_t bytes, pf_public_key *out, pf_err *err)
{
    memset(out, 0, sizeof *out);
    return parse_line(PUBLIC_WORD, text, bytes, out->name, out->byte, sizeof out->byte, err);
}

/* A secret is made with its mode from the start, so that nobody can read it in between. */
static pf_status write_secret(const char *path, const pf_buf *text, pf_err *err)
{
    int     fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t written = -1;
    bool    synced = false;

    if (fd < 0)
        return PF_FAIL(err, PF_IO, "cannot make %s: %s", path, strerror(errno));
    written = write(fd, text->data, text->size);
    synced = fsync(fd) == 0;
    close(fd);
    if (written == (ssize_t)text->size && synced)
        return PF_OK;
    unlink(path);
    return PF_FAIL(err, PF_IO, "cannot write %s: is the disk full?", path);
}

static pf_status make_key(const char *path, const char *name, pf_signing_key *out, pf_err *err)
{
    pf_buf    text = { 0 };
    pf_status st = pf_signing_key_new(name, out, err);

    if (st)
        return st;
    pf_buf_init(&text, KEY_FILE_BYTES);
    st = write_line(SECRET_WORD, name, out->secret, SEED_BYTES, &text, err);  /* the seed is the secret's first half */
    if (!st)
        st = write_secret(path, &text, err);
    if (text.data)
        sodium_memzero(text.data, text.size);
    pf_buf_clear(&text);
    return st;
}

static pf_status read_key(const char *path, const char *name, pf_signing_key *out, pf_err *err)
{
    char        stored_name[PF_KEY_NAME_BYTES] = "";
    uint8_t     seed[SEED_BYTES] = { 0 };
    struct stat info = { 0 };
    pf_buf      text = { 0 };
    pf_status   st = PF_OK;

    if (stat(path, &info) == 0 && (info.st_mode & 077) != 0)
        return PF_FAIL(err, PF_DENIED, "%s can be read by others: chmod 600 it, or replace the key", path);
    pf_buf_init(&text, KEY_FILE_BYTES);
    st = pf_file_read(path, KEY_FILE_BYTES - 1, &text, err);
    if (!st)
        st = parse_line(SECRET_WORD, (const char *)text.data, text.size, stored_name, seed, sizeof seed, err);
    if (!st && strcmp(stored_name, name) != 0)
        st = PF_FAIL(err, PF_CORRUPT, "it holds the key \"%s\"", stored_name);
    if (!st)
        st = key_from_seed(name, seed, out, err);
    if (text.data)
        sodium_memzero(text.data, text.size);
    sodium_memzero(seed, sizeof seed);
    pf_buf_clear(&text);
    return st ? pf_err_add(err, st, "%s", path) : PF_OK;
}

static pf_status publish(const char *folder, const pf_public_key *key, pf_err *err)
{
    char      path[4096] = "", file_name[PF_KEY_NAME_BYTES + 8] = "";
    pf_buf    text = { 0 };
    pf_status st = PF_OK;

    snprintf(file_name, sizeof file_name, "%s.pub", key->name);
    st = pf_path_join(folder, file_name, path, sizeof path, err);
    if (st || pf_file_exists(path))
        return st;
    pf_buf_init(&text, KEY_FILE_BYTES);
    st = pf_public_key_write(key, &text, err);
    if (!st)
        st = pf_file_write(path, text.data, text.size, err);
    pf_buf_clear(&text);
    return st;
}

pf_status pf_signing_key_open(const char *folder, const char *name, pf_signing_key *out, pf_err *err)
{
    char      path[4096] = "", file_name[PF_KEY_NAME_BYTES + 8] = "";
    pf_status st = PF_OK;

    memset(out, 0, sizeof *out);
    if (sodium_init() < 0)
        return PF_FAIL(err, PF_INTERNAL, "libsodium does not start");
    snprintf(file_name, sizeof file_name, "%s.key", name);
    st = pf_path_join(folder, file_name, path, sizeof path, err);
    if (!st)
        st = pf_dir_make(folder, err);
    if (!st)
        st = pf_file_exists(path) ? read_key(path, name, out, err) : make_key(path, name, out, err);
    if (!st)
        st = publish(folder, &out->public_key, err);
    if (st)
        pf_signing_key_clear(out);
    return st;
}

/* ---- all keys of a folder */

enum { NUMBER_MAX = 999 };

static bool key_is_there(const char *folder, int number)
{
    char path[4096] = "", file_name[PF_KEY_NAME_BYTES] = "";

    snprintf(file_name, sizeof file_name, "farm-%d.key", number);
    return pf_path_join(folder, file_name, path, sizeof path, NULL) == PF_OK && pf_file_exists(path);
}

pf_status pf_signing_keys_open(const char *folder, bool make_next, pf_signing_key out[PF_SIGNING_KEYS_MAX],
                               uint32_t *count, pf_err *err)
{
    int       newest = 0;
    pf_status st = PF_OK;

    *count = 0;
    for (int number = 1; number <= NUMBER_MAX; number++)
        if (key_is_there(folder, number))
            newest = number;
    if (newest == 0 || make_next)
        newest++;
    for (int number = newest; number > 0 && *count < PF_SIGNING_KEYS_MAX && !st; number--) {
        char name[PF_KEY_NAME_BYTES] = "";
        snprintf(name, sizeof name, "farm-%d", number);
        if (number == newest || key_is_there(folder, number))
            st = pf_signing_key_open(folder, name, &out[(*count)++], err);
    }
    return st;
}
