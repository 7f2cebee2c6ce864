#!/usr/bin/env python3
"""An S3-compatible server that trusts nobody: it serves the files of one bucket to requests that are signed as they must be.

Usage: s3_server.py FOLDER BUCKET REGION KEY_ID SECRET     prints its port, and then each request with its code

Signatures are those of AWS Signature Version 4, computed here from the request as it came: the canonical request of the
path and the headers named as signed, the scope of date, region and service, and a date within 15 minutes of now.
"""
import datetime
import hashlib
import hmac
import http.server
import os
import re
import sys
import urllib.parse

FOLDER, BUCKET, REGION, KEY_ID, SECRET = sys.argv[1:6]
EMPTY = hashlib.sha256(b"").hexdigest()
AUTHORIZATION = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
                           r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$")


def keyed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(path, headers, signed, date, stamp):
    """Of a GET of `path`, which is as it stood in the request, with the headers named in `signed`."""
    lines = "".join("%s:%s\n" % (name, " ".join(headers[name].split())) for name in signed.split(";"))
    canonical = "\n".join(["GET", path, "", lines, signed, EMPTY])
    scope = "%s/%s/s3/aws4_request" % (date, REGION)
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in (date, REGION, "s3", "aws4_request"):
        key = keyed(key, part)
    return keyed(key, text).hex()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def fault(self):
        """Why the request is refused, as S3 names it; None when it may pass."""
        match = AUTHORIZATION.match(self.headers.get("Authorization", ""))
        stamp = self.headers.get("x-amz-date", "")
        if not match:
            return 403, "AccessDenied"
        key_id, date, region, signed, given = match.groups()
        if region != REGION:
            return 400, "AuthorizationHeaderMalformed"
        if key_id != KEY_ID:
            return 403, "InvalidAccessKeyId"
        if self.headers.get("x-amz-content-sha256") != EMPTY or not {"host", "x-amz-date"} <= set(signed.split(";")):
            return 403, "AccessDenied"
        made = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        if stamp[:8] != date or abs((datetime.datetime.now(datetime.timezone.utc) - made).total_seconds()) > 900:
            return 403, "RequestTimeTooSkewed"
        if not hmac.compare_digest(given, signature(self.path, self.headers, signed, date, stamp)):
            return 403, "SignatureDoesNotMatch"
        return None

    def object(self):
        """The bytes that the path names; None when there are none.  S3 paths are what the keys are with %XX undone."""
        bucket, _, key = urllib.parse.unquote(self.path).lstrip("/").partition("/")
        path = os.path.join(FOLDER, key)
        if bucket != BUCKET or ".." in key or not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def answer(self, code, body, kind):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        fault = self.fault()
        body = None if fault else self.object()
        if not fault and body is None:
            fault = 404, "NoSuchKey"
        if fault:
            self.answer(fault[0], b"<Error><Code>%s</Code></Error>" % fault[1].encode(), "application/xml")
        else:
            self.answer(200, body, "binary/octet-stream")

    def log_request(self, code="-", size="-"):
        print(int(code), self.path, flush=True)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
