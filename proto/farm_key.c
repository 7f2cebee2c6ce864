#include "proto/farm_key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/file.h"

enum { KEY_FILE_BYTES = 1024, RAW_BYTES = 32, MAC_TEXT_BYTES = 64 };

static const char HEAD[] = "planfarm-farm-key 1\n";
static const char TOKEN_HEAD[] = "pf1.";

/* ---- key pairs */

static bool name_is_good(const char *name)
{
    return pf_text_is_name(name, PF_FARM_KEY_NAME) && !strchr(name, '.');       /* a dot ends it in a token */
}

pf_status pf_farm_key_new(const char *name, const char *server_key, pf_farm_key *out, pf_err *err)
{
    memset(out, 0, sizeof *out);
    if (!name_is_good(name))
        return PF_FAIL(err, PF_INVALID, "\"%.100s\" is no name for a key: letters, digits and _-:/@+, at most %d", name,
                       PF_FARM_KEY_NAME - 1);
    if (zmq_curve_keypair(out->public_key, out->secret_key) != 0)
        return PF_FAIL(err, PF_UNSUPPORTED, "this ZeroMQ makes no CURVE keys: %s", zmq_strerror(errno));
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->server_key, sizeof out->server_key, "%s", server_key);
    return PF_OK;
}

void pf_farm_key_clear(pf_farm_key *key)
{
    sodium_memzero(key, sizeof *key);
}

/* ---- files */

/* A secret gets its mode when it is made, so that nobody can read it in between. */
static pf_status write_secret(const char *path, const char *text, pf_err *err)
{
    int     fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t wrote = -1;

    if (fd < 0 && errno == EEXIST)
        return PF_FAIL(err, PF_BUSY, "%s is there already; move it away, or give another name", path);
    if (fd < 0)
        return PF_FAIL_ERRNO(err, "make", path);
    wrote = write(fd, text, strlen(text));
    if (wrote == (ssize_t)strlen(text) && fsync(fd) == 0) {
        close(fd);
        return PF_OK;
    }
    close(fd);
    unlink(path);
    return PF_FAIL(err, PF_NO_SPACE, "cannot write %s: is the disk full?", path);
}

pf_status pf_farm_key_write(const pf_farm_key *key, const char *path, pf_err *err)
{
    char      text[KEY_FILE_BYTES] = "";
    pf_status st = PF_OK;

    snprintf(text, sizeof text, "%sname %s\npublic %s\nsecret %s\nserver %s\n", HEAD, key->name, key->public_key,
             key->secret_key, key->server_key);
    st = write_secret(path, text, err);
    sodium_memzero(text, sizeof text);
    return st;
}

/* Takes the rest of the line that begins with word. */
static bool take_line(const char **at, const char *word, char *out, size_t capacity)
{
    size_t      word_bytes = strlen(word);
    const char *stop = strchr(*at, '\n');

    if (!stop || strncmp(*at, word, word_bytes) != 0 || (size_t)(stop - *at) - word_bytes >= capacity)
        return false;
    memcpy(out, *at + word_bytes, (size_t)(stop - *at) - word_bytes);
    out[(size_t)(stop - *at) - word_bytes] = 0;
    *at = stop + 1;
    return true;
}

static bool is_z85(const char *text)
{
    uint8_t raw[RAW_BYTES] = { 0 };
    bool    good = strlen(text) == PF_Z85_BYTES - 1 && zmq_z85_decode(raw, text) != NULL;

    sodium_memzero(raw, sizeof raw);
    return good;
}

static bool parse_key(const char *text, pf_farm_key *out)
{
    char head[sizeof HEAD] = "";

    return take_line(&text, "planfarm-farm-key ", head, sizeof head) && strcmp(head, "1") == 0 &&
           take_line(&text, "name ", out->name, sizeof out->name) && name_is_good(out->name) &&
           take_line(&text, "public ", out->public_key, PF_Z85_BYTES) && is_z85(out->public_key) &&
           take_line(&text, "secret ", out->secret_key, PF_Z85_BYTES) && is_z85(out->secret_key) &&
           take_line(&text, "server ", out->server_key, PF_Z85_BYTES) &&
           (!out->server_key[0] || is_z85(out->server_key));
}

pf_status pf_farm_key_read(const char *path, pf_farm_key *out, pf_err *err)
{
    struct stat info = { 0 };
    pf_buf      text = { 0 };
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (stat(path, &info) == 0 && (info.st_mode & 077) != 0)
        return PF_FAIL(err, PF_DENIED, "%s can be read by others: chmod 600 it, or replace the key", path);
    pf_buf_init(&text, KEY_FILE_BYTES);
    st = pf_file_read(path, KEY_FILE_BYTES - 1, &text, err);
    if (!st && !parse_key((const char *)text.data, out))
        st = PF_FAIL(err, PF_CORRUPT, "%s holds no key of a farm", path);
    if (text.data)
        sodium_memzero(text.data, text.size);
    pf_buf_clear(&text);
    if (st)
        pf_farm_key_clear(out);
    return st;
}

pf_status pf_farm_key_own(pf_farm_key *out, pf_err *err)
{
    const char *path = getenv(PF_FARM_KEY_VARIABLE);
    pf_status   st = PF_OK;

    memset(out, 0, sizeof *out);
    if (!path || !path[0])
        return PF_OK;
    st = pf_farm_key_read(path, out, err);
    if (!st && !out->server_key[0])
        st = PF_FAIL(err, PF_INVALID, "%s does not name the farm's key; add it as its line \"server\"", path);
    return st ? pf_err_add(err, st, PF_FARM_KEY_VARIABLE) : PF_OK;
}

/* ---- tokens */

static bool shared_secret(const char *public_key, const char *secret_key, uint8_t out[crypto_auth_KEYBYTES])
{
    uint8_t public_raw[RAW_BYTES] = { 0 }, secret_raw[RAW_BYTES] = { 0 };
    bool    good = zmq_z85_decode(public_raw, public_key) && zmq_z85_decode(secret_raw, secret_key) &&
                   crypto_box_beforenm(out, public_raw, secret_raw) == 0;

    sodium_memzero(secret_raw, sizeof secret_raw);
    return good;
}

static bool mac_of(const char *text, const char *public_key, const char *secret_key, char out[MAC_TEXT_BYTES])
{
    uint8_t secret[crypto_auth_KEYBYTES] = { 0 }, mac[crypto_auth_BYTES] = { 0 };
    bool    good = shared_secret(public_key, secret_key, secret);

    if (good) {
        crypto_auth(mac, (const unsigned char *)text, strlen(text), secret);
        sodium_bin2base64(out, MAC_TEXT_BYTES, mac, sizeof mac, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    }
    sodium_memzero(secret, sizeof secret);
    return good;
}

pf_status pf_farm_token_make(const pf_farm_key *key, int64_t now_s, int64_t lifetime_s, char out[PF_FARM_TOKEN_BYTES],
                             pf_err *err)
{
    char claim[PF_FARM_TOKEN_BYTES - MAC_TEXT_BYTES] = "", mac[MAC_TEXT_BYTES] = "";

    snprintf(claim, sizeof claim, "%s%s.%" PRId64, TOKEN_HEAD, key->name, now_s + lifetime_s);
    if (!mac_of(claim, key->server_key, key->secret_key, mac))
        return PF_FAIL(err, PF_INVALID, "the key \"%s\" cannot make a token", key->name);
    snprintf(out, PF_FARM_TOKEN_BYTES, "%s.%s", claim, mac);
    return PF_OK;
}

bool pf_farm_token_name(const char *token, char name[PF_FARM_KEY_NAME])
{
    const char *start = token + sizeof TOKEN_HEAD - 1, *dot = NULL;

    if (strncmp(token, TOKEN_HEAD, sizeof TOKEN_HEAD - 1) != 0 || strlen(token) >= PF_FARM_TOKEN_BYTES)
        return false;
    dot = strchr(start, '.');
    if (!dot || dot == start || dot - start >= PF_FARM_KEY_NAME)
        return false;
    memcpy(name, start, (size_t)(dot - start));
    name[dot - start] = 0;
    return true;
}

pf_status pf_farm_token_check(const char *token, const pf_farm_key *server, const char *user_public_key, int64_t now_s,
                              pf_err *err)
{
    char        claim[PF_FARM_TOKEN_BYTES] = "", mac[MAC_TEXT_BYTES] = "";
    const char *last = strrchr(token, '.'), *expires = NULL;
    size_t      bytes = last ? (size_t)(last - token) : 0;

    if (!last || bytes >= sizeof claim || strlen(last + 1) >= sizeof mac)
        return PF_FAIL(err, PF_DENIED, "this is no token");
    memcpy(claim, token, bytes);
    if (!mac_of(claim, user_public_key, server->secret_key, mac) || strlen(mac) != strlen(last + 1) ||
        sodium_memcmp(mac, last + 1, strlen(mac)) != 0)
        return PF_FAIL(err, PF_DENIED, "the token was not made by the key that it names");
    expires = strrchr(claim, '.');
    if (!expires || strtoll(expires + 1, NULL, 10) < now_s)
        return PF_FAIL(err, PF_DENIED, "the token is over");
    return PF_OK;
}
