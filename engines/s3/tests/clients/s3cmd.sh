# What people do with s3cmd. Its own default region "US" is none, hence --region.
set -eu
s3() {
    "$S3CMD" --no-ssl --host="$ADDRESS" --host-bucket="$ADDRESS" --region=us-east-1 \
        --access_key="$AWS_ACCESS_KEY_ID" --secret_key="$AWS_SECRET_ACCESS_KEY" --config=/dev/null --no-progress "$@"
}
mkdir -p up/sub down
printf hello > up/a.txt
printf world > 'up/sub/b c.txt'
head -c 20000000 /dev/urandom > up/large

s3 mb s3://s3cmd
s3 ls | grep -q s3://s3cmd
s3 put up/a.txt s3://s3cmd/a.txt --add-header=x-amz-meta-colour:blue
s3 info s3://s3cmd/a.txt | grep -q 'x-amz-meta-colour: blue'
s3 put --multipart-chunk-size-mb=5 up/large s3://s3cmd/large
s3 get s3://s3cmd/large down/large
cmp up/large down/large
s3 sync up/ s3://s3cmd/up/
s3 ls --recursive s3://s3cmd/up/ | grep -q 'b c.txt'
test "$(s3 ls s3://s3cmd/ | grep -c DIR)" = 1
s3 sync s3://s3cmd/up/ down/
cmp 'up/sub/b c.txt' 'down/sub/b c.txt'
s3 cp s3://s3cmd/a.txt s3://s3cmd/copy.txt
s3 mv s3://s3cmd/copy.txt s3://s3cmd/moved.txt
s3 ls s3://s3cmd/moved.txt | grep -q moved
s3 put --continue-put up/a.txt s3://s3cmd/a.txt
s3 du s3://s3cmd | grep -q 's3://s3cmd'
printf '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::s3cmd/*"}]}' > policy.json
s3 setpolicy policy.json s3://s3cmd
s3 info s3://s3cmd | grep -q GetObject
s3 delpolicy s3://s3cmd
s3 del --recursive --force s3://s3cmd
s3 rb s3://s3cmd
if s3 ls s3://s3cmd 2>/dev/null; then exit 1; fi
