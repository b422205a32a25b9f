"""The shop's pictures, in a bucket.

The SDK finds endpoint and keys in its own variables (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, ...);
S3_BUCKET names the bucket. Older SDKs do not know the endpoint's variable, so it is passed on.
"""

import os
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

KINDS = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}


class NotAPicture(Exception):
    """The file is of a kind that the shop does not show."""


class Photos:
    """Pictures by key."""

    def __init__(self):
        self._bucket = os.environ["S3_BUCKET"]
        self._s3 = boto3.client(
            "s3",
            endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"],
            config=Config(connect_timeout=3, read_timeout=15, s3={"addressing_style": "path"}),
        )

    def save(self, stream, kind):
        """Stores a picture and answers its key."""
        if kind not in KINDS:
            raise NotAPicture(kind)
        key = f"products/{uuid.uuid4()}{KINDS[kind]}"
        self._s3.upload_fileobj(stream, self._bucket, key, ExtraArgs={"ContentType": kind})
        return key

    def open(self, key):
        """A picture as pieces; None if there is none."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return found["ContentLength"], found["Body"].iter_chunks(64 * 1024)

    def remove(self, key):
        self._s3.delete_object(Bucket=self._bucket, Key=key)

    def check(self):
        """Asks the bucket for anything at all."""
        self._s3.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
