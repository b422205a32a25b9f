"""What people do with boto3: path and virtual-host style, every checksum, uploads, versions, links."""
import hashlib
import io
import os
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import ClientError


def client(host=os.environ["ADDRESS"], style="path"):
    settings = Config(s3={"addressing_style": style}, retries={"total_max_attempts": 1})
    return boto3.client("s3", endpoint_url=f"http://{host}", config=settings)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"{code} was expected")


s3 = client()
s3.create_bucket(Bucket="boto")
assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["boto"]

for algorithm in ["CRC32", "SHA1", "SHA256"]:
    s3.put_object(Bucket="boto", Key=algorithm, Body=b"hello", ChecksumAlgorithm=algorithm)
    got = s3.get_object(Bucket="boto", Key=algorithm, ChecksumMode="ENABLED")
    assert got["Body"].read() == b"hello" and got[f"Checksum{algorithm}"], got

# A stream of unknown nature goes out in chunks with a trailer.
s3.put_object(Bucket="boto", Key="stream", Body=io.BytesIO(b"x" * 100_000), Metadata={"colour": "blue"})
head = s3.head_object(Bucket="boto", Key="stream")
assert head["ContentLength"] == 100_000 and head["Metadata"] == {"colour": "blue"}, head

data = os.urandom(12_000_000)
limits = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
s3.upload_fileobj(io.BytesIO(data), "boto", "large", Config=limits)
back = io.BytesIO()
s3.download_fileobj("boto", "large", back, Config=limits)
assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(data).digest()
assert s3.head_object(Bucket="boto", Key="large")["ETag"].endswith('-3"')
s3.copy({"Bucket": "boto", "Key": "large"}, "boto", "copy", Config=limits)
assert s3.get_object(Bucket="boto", Key="copy", Range="bytes=5-9")["Body"].read() == data[5:10]
sizes = s3.get_object_attributes(Bucket="boto", Key="large", ObjectAttributes=["ETag", "ObjectSize"])
assert sizes["ObjectSize"] == len(data), sizes

for number in range(25):
    s3.put_object(Bucket="boto", Key=f"many/{number:02}", Body=b"")
pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket="boto", Prefix="many/", PaginationConfig={"PageSize": 10}))
assert [len(page["Contents"]) for page in pages] == [10, 10, 5]
gone = s3.delete_objects(Bucket="boto", Delete={"Objects": [{"Key": f"many/{n:02}"} for n in range(25)]})
assert len(gone["Deleted"]) == 25 and "Errors" not in gone, gone

link = s3.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "CRC32"}, ExpiresIn=60)
assert urllib.request.urlopen(link).read() == b"hello"
form = s3.generate_presigned_post("boto", "form.txt", Conditions=[["content-length-range", 1, 10]], ExpiresIn=60)
edge = "boundary"
parts = "".join(f'--{edge}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in form["fields"].items())
parts += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nposted\r\n--{edge}--\r\n'
request = urllib.request.Request(form["url"], parts.encode(), {"Content-Type": f"multipart/form-data; boundary={edge}"})
assert urllib.request.urlopen(request).status == 204
assert s3.get_object(Bucket="boto", Key="form.txt")["Body"].read() == b"posted"

s3.put_bucket_versioning(Bucket="boto", VersioningConfiguration={"Status": "Enabled"})
first = s3.put_object(Bucket="boto", Key="v", Body=b"1")["VersionId"]
s3.put_object(Bucket="boto", Key="v", Body=b"2")
s3.delete_object(Bucket="boto", Key="v")
refused("NoSuchKey", s3.get_object, Bucket="boto", Key="v")
assert s3.get_object(Bucket="boto", Key="v", VersionId=first)["Body"].read() == b"1"
refused("PreconditionFailed", s3.put_object, Bucket="boto", Key="stream", Body=b"", IfNoneMatch="*")

# *.localhost is this machine to clients that resolve it so; Python asks the system, which may not.
virtual = client(f"s3.localhost:{os.environ['PORT']}", "virtual")
signed = virtual.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "CRC32"}, ExpiresIn=60)
host = f"boto.s3.localhost:{os.environ['PORT']}"
assert host in signed, signed
direct = urllib.request.Request(signed.replace(host, os.environ["ADDRESS"]), headers={"Host": host})
assert urllib.request.urlopen(direct).read() == b"hello"

wrong = boto3.client("s3", endpoint_url=f"http://{os.environ['ADDRESS']}", aws_secret_access_key="wrong",
                     aws_access_key_id="client")
refused("SignatureDoesNotMatch", wrong.list_buckets)
bucket = boto3.resource("s3", endpoint_url=f"http://{os.environ['ADDRESS']}").Bucket("boto")
bucket.object_versions.delete()
bucket.delete()
refused("NoSuchBucket", s3.list_objects_v2, Bucket="boto")
