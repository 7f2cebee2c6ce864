#include <sodium/crypto_hash_sha256.h>
#include <string.h>

#include "base/hash.h"
#include "tests/test.h"

static void hex_of(const char *text, char hex[PF_DIGEST_HEX_BYTES])
{
    pf_digest digest;

    pf_digest_of(text, strlen(text), &digest);
    pf_digest_to_hex(&digest, hex);
}

/* FIPS 180-4 examples. */
static void known_answers(void **state)
{
    static const struct { const char *text, *hex; } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[PF_DIGEST_HEX_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hex_of(rows[i].text, hex);
        assert_string_equal(hex, rows[i].hex);
    }
}

static void a_million_in_uneven_pieces(void **state)
{
    char      block[997], hex[PF_DIGEST_HEX_BYTES];
    pf_hash   hash;
    pf_digest digest;
    size_t    left = 1000000;

    (void)state;
    memset(block, 'a', sizeof block);
    pf_hash_init(&hash);
    while (left) {
        size_t bytes = left < sizeof block ? left : sizeof block;

        pf_hash_add(&hash, block, bytes);
        pf_hash_add(&hash, NULL, 0);
        left -= bytes;
    }
    pf_hash_end(&hash, &digest);
    pf_digest_to_hex(&digest, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Whatever computes it here agrees with libsodium, at every length around the blocks' and every way to cut it. */
static void agrees_with_libsodium(void **state)
{
    uint8_t data[300];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 11);
    for (size_t bytes = 0; bytes <= sizeof data; bytes++)
        for (size_t cut = 0; cut <= bytes; cut += 7) {
            pf_hash   hash;
            pf_digest ours;
            uint8_t   theirs[PF_DIGEST_BYTES];
            pf_hash_init(&hash);
            pf_hash_add(&hash, data, cut);
            pf_hash_add(&hash, data + cut, bytes - cut);
            pf_hash_end(&hash, &ours);
            crypto_hash_sha256(theirs, data, bytes);
            assert_memory_equal(ours.byte, theirs, sizeof theirs);
        }
}

/* Keys are compared between machines: the bytes that go in are a contract. */
static void fields_enter_as_specified(void **state)
{
    static const uint8_t bytes[] = {2, 0, 0, 0, 0, 0, 0, 0, 'h', 'i', 8, 7, 6, 5, 4, 3, 2, 1};
    pf_hash              hash;
    pf_digest            fields, whole;

    (void)state;
    pf_hash_init(&hash);
    pf_hash_add_string(&hash, "hi");
    pf_hash_add_u64(&hash, UINT64_C(0x0102030405060708));
    pf_hash_end(&hash, &fields);
    pf_digest_of(bytes, sizeof bytes, &whole);
    assert_true(pf_digest_equal(&fields, &whole));
}

static void pair_of(const char *first, const char *second, pf_digest *out)
{
    pf_hash hash;

    pf_hash_init(&hash);
    pf_hash_add_string(&hash, first);
    pf_hash_add_string(&hash, second);
    pf_hash_end(&hash, out);
}

static void strings_cannot_run_together(void **state)
{
    pf_digest a, b;

    (void)state;
    pair_of("ab", "c", &a);
    pair_of("a", "bc", &b);
    assert_false(pf_digest_equal(&a, &b));
}

static void hex_goes_both_ways(void **state)
{
    char      hex[PF_DIGEST_HEX_BYTES], again[PF_DIGEST_HEX_BYTES];
    pf_digest digest;

    (void)state;
    hex_of("abc", hex);
    assert_true(pf_digest_from_hex(hex, &digest));
    pf_digest_to_hex(&digest, again);
    assert_string_equal(hex, again);
    hex[0] = 'B';       /* upper case is read too */
    assert_true(pf_digest_from_hex(hex, &digest));
    pf_digest_to_hex(&digest, again);
    assert_int_equal(again[0], 'b');
}

static void other_text_is_no_digest(void **state)
{
    char      hex[PF_DIGEST_HEX_BYTES + 1] = "";
    pf_digest digest;

    (void)state;
    hex_of("abc", hex);
    hex[63] = 0;
    assert_false(pf_digest_from_hex(hex, &digest));
    hex[63] = 'g';
    assert_false(pf_digest_from_hex(hex, &digest));
    assert_true(pf_digest_is_zero(&digest));
    hex[63] = ' ';
    assert_false(pf_digest_from_hex(hex, &digest));
    hex[63] = '0';
    hex[64] = '0';
    hex[65] = 0;
    assert_false(pf_digest_from_hex(hex, &digest));
    assert_false(pf_digest_from_hex("", &digest));
}

static void zero(void **state)
{
    pf_digest digest = {{0}};

    (void)state;
    assert_true(pf_digest_is_zero(&digest));
    digest.byte[31] = 1;
    assert_false(pf_digest_is_zero(&digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(a_million_in_uneven_pieces),
        cmocka_unit_test(agrees_with_libsodium),
        cmocka_unit_test(fields_enter_as_specified),
        cmocka_unit_test(strings_cannot_run_together),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(other_text_is_no_digest),
        cmocka_unit_test(zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
