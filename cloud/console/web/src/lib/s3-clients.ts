/** Configurations of well-known S3 clients, ready to paste. */

import type { Keys } from '../api/buckets'

export type Client = 'rclone' | 's3cmd' | 'aws' | 'python' | 'javascript'

export const CLIENTS: { value: Client; label: string }[] = [
  { value: 'rclone', label: 'rclone' },
  { value: 's3cmd', label: 's3cmd' },
  { value: 'aws', label: 'aws' },
  { value: 'python', label: 'Python' },
  { value: 'javascript', label: 'JavaScript' },
]

export const snippet = (client: Client, keys: Keys, bucket: string): string => {
  const { accessKey, secretKey, external, region } = keys
  const host = external.replace(/^https?:\/\//, '')
  switch (client) {
    case 'rclone':
      return `# ~/.config/rclone/rclone.conf
[sealos]
type = s3
provider = Other
endpoint = ${external}
region = ${region}
access_key_id = ${accessKey}
secret_access_key = ${secretKey}

# rclone ls sealos:${bucket}`
    case 's3cmd':
      return `# ~/.s3cfg
[default]
access_key = ${accessKey}
secret_key = ${secretKey}
host_base = ${host}
host_bucket = ${host}
bucket_location = ${region}
use_https = ${external.startsWith('https:') ? 'True' : 'False'}

# s3cmd ls s3://${bucket}`
    case 'aws':
      return `export AWS_ACCESS_KEY_ID=${accessKey}
export AWS_SECRET_ACCESS_KEY=${secretKey}
export AWS_DEFAULT_REGION=${region}
export AWS_ENDPOINT_URL=${external}

aws s3 ls s3://${bucket}`
    case 'python':
      return `import boto3
from botocore.config import Config

s3 = boto3.client(
    "s3",
    endpoint_url="${external}",
    region_name="${region}",
    aws_access_key_id="${accessKey}",
    aws_secret_access_key="${secretKey}",
    config=Config(s3={"addressing_style": "path"}),
)
s3.upload_file("photo.jpg", "${bucket}", "photo.jpg")`
    case 'javascript':
      return `import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'

const s3 = new S3Client({
  endpoint: '${external}',
  region: '${region}',
  forcePathStyle: true,
  credentials: { accessKeyId: '${accessKey}', secretAccessKey: '${secretKey}' },
})
await s3.send(new ListObjectsV2Command({ Bucket: '${bucket}' }))`
  }
}
