"""URLs that let others make one request of an S3-compatible store: AWS Signature Version 4.

Like minio's own, but also for headers: whoever uses the URL must send just those that were signed.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlsplit

from modelkeep_server.values.s3_place import S3Keys

_ALGORITHM = "AWS4-HMAC-SHA256"


def presigned(
    method: str,
    url: str,
    headers: Mapping[str, str],
    keys: S3Keys,
    region: str,
    now: datetime,
    seconds: int,
) -> str:
    """Sign a request with these headers, in lower case, and a body that is not signed itself."""
    parts = urlsplit(url)
    where = url.partition("?")[0]
    day, scope = f"{now:%Y%m%d}", f"{now:%Y%m%d}/{region}/s3/aws4_request"
    signed = dict(sorted({"host": parts.netloc, **headers}.items()))
    query = dict(parse_qsl(parts.query)) | {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{keys.access}/{scope}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": ";".join(signed),
    }
    if keys.session:
        query["X-Amz-Security-Token"] = keys.session
    asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    names = ";".join(signed)
    request = f"{method}\n{parts.path}\n{asked}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{_ALGORITHM}\n{query['X-Amz-Date']}\n{scope}\n{digest}"
    key = _key(keys.secret, day, region)
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"{where}?{asked}&X-Amz-Signature={signature}"


def _key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return key
