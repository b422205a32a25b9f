# What people do with rclone.
set -eu
# rclone does not start when this names a bundle that only other programs want.
unset AWS_CA_BUNDLE
export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_S_TYPE=s3 RCLONE_CONFIG_S_PROVIDER=Other RCLONE_CONFIG_S_ENV_AUTH=true
export RCLONE_CONFIG_S_ENDPOINT="http://$ADDRESS" RCLONE_CONFIG_S_REGION=us-east-1
r() { "$RCLONE" --retries 1 --low-level-retries 2 "$@"; }
mkdir -p up/sub/deep
printf hello > up/a.txt
printf world > 'up/sub/deep/ü c.txt'
head -c 30000000 /dev/urandom > up/large

r mkdir s:rclone
r copy --s3-upload-cutoff 5M --s3-chunk-size 5M up s:rclone/dir
r check up s:rclone/dir
test "$(r ls s:rclone | wc -l)" = 3
r lsf s:rclone/dir/ | grep -q '^sub/$'
r lsd s:rclone | grep -q dir
test "$(r cat s:rclone/dir/a.txt)" = hello
r sync s:rclone/dir down
cmp up/large down/large
r copyto s:rclone/dir/a.txt s:rclone/b.txt
r moveto s:rclone/b.txt s:rclone/c.txt
rm up/a.txt
r sync up s:rclone/dir
if r lsf s:rclone/dir | grep -q a.txt; then exit 1; fi
r size s:rclone | grep -q 'Total objects: 3'
r about s:rclone >/dev/null 2>&1 || true
r purge s:rclone
if r lsf s:rclone 2>/dev/null; then exit 1; fi
