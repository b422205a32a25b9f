// What people do with the AWS SDK for JavaScript, version 3.
const assert = require('node:assert')
const crypto = require('node:crypto')
const { Readable } = require('node:stream')
const S3 = require('@aws-sdk/client-s3')
const { Upload } = require('@aws-sdk/lib-storage')
const { getSignedUrl } = require('@aws-sdk/s3-request-presigner')

const client = new S3.S3Client({ endpoint: `http://${process.env.ADDRESS}`, forcePathStyle: true, maxAttempts: 1 })
const Bucket = 'javascript'
const send = (command, input) => client.send(new S3[`${command}Command`]({ Bucket, ...input }))

async function main() {
  await send('CreateBucket')
  await send('PutObject', { Key: 'a', Body: 'hello', Metadata: { colour: 'blue' }, Tagging: 'x=1' })
  const got = await send('GetObject', { Key: 'a' })
  assert.equal(await got.Body.transformToString(), 'hello')
  assert.deepEqual(got.Metadata, { colour: 'blue' })
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']) {
    await send('PutObject', { Key: ChecksumAlgorithm, Body: 'hello', ChecksumAlgorithm })
    const head = await send('HeadObject', { Key: ChecksumAlgorithm, ChecksumMode: 'ENABLED' })
    assert.ok(head[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm)
  }
  const data = crypto.randomBytes(12_000_000)
  const upload = { client, params: { Bucket, Key: 'large', Body: Readable.from([data]) }, partSize: 5 << 20 }
  await new Upload(upload).done()
  const back = await send('GetObject', { Key: 'large' })
  assert.ok(Buffer.from(await back.Body.transformToByteArray()).equals(data))
  const listed = await send('ListObjectsV2', { MaxKeys: 2 })
  assert.equal(listed.Contents.length, 2)
  assert.ok(listed.NextContinuationToken)
  const link = await getSignedUrl(client, new S3.GetObjectCommand({ Bucket, Key: 'a' }), { expiresIn: 60 })
  assert.equal(await (await fetch(link)).text(), 'hello')
  const put = await getSignedUrl(client, new S3.PutObjectCommand({ Bucket, Key: 'linked' }), { expiresIn: 60 })
  assert.equal((await fetch(put, { method: 'PUT', body: 'linked' })).status, 200)
  await assert.rejects(send('GetObject', { Key: 'missing' }), { name: 'NoSuchKey' })
  const cors = { CORSRules: [{ AllowedMethods: ['GET'], AllowedOrigins: ['*'] }] }
  await send('PutBucketCors', { CORSConfiguration: cors })
  const page = await fetch(link, { headers: { origin: 'https://shop.example' } })
  assert.equal(page.headers.get('access-control-allow-origin'), '*')
  const all = await send('ListObjectsV2', {})
  await send('DeleteObjects', { Delete: { Objects: all.Contents.map(({ Key }) => ({ Key })) } })
  await send('DeleteBucket')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
