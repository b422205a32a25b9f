#!/usr/bin/perl
# A small web server: one process, many connections, no modules beyond Perl's base.
#
# GET /         a page that says who answered
# GET /healthz  ok, as long as the process is well
# GET /version  the version, as JSON with the pod's name
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use POSIX ();

my $port       = $ENV{PORT}    || 8080;
my $version    = $ENV{VERSION} || 'dev';
my $pod        = (POSIX::uname())[1];
my $page       = read_file('page.html');
my $max_head   = 16 * 1024;    # a request's head may not be larger
my $max_idle   = 75;           # seconds a connection may be silent
my $last_calls = 2;            # seconds in which new requests still come after SIGTERM
my $patience   = 8;            # seconds after SIGTERM until the process leaves anyway

my $requests = 0;
my $stopping = 0;              # when SIGTERM came
$SIG{TERM} = $SIG{INT} = sub { $stopping ||= time };
$SIG{PIPE} = 'IGNORE';
$| = 1;

my $listener = IO::Socket::INET->new(LocalPort => $port, Listen => 512, ReuseAddr => 1, Blocking => 0)
    or die "listen on port $port: $!\n";
my $readers = IO::Select->new($listener);
my $writers = IO::Select->new;
my %connections;               # by file number: the socket, what came, what goes, when it last moved
print "hello $version listens on port $port\n";

until (finished()) {
    my ($readable, $writable) = IO::Select->select($readers, $writers, undef, 1);
    for my $socket (@{ $readable || [] }) {
        $socket == $listener ? accept_all() : receive($connections{ fileno $socket });
    }
    for my $socket (@{ $writable || [] }) {
        # It may have been closed just above.
        my $number = fileno $socket;
        flush_out($connections{$number}) if defined $number && $connections{$number};
    }
    drop_idle();
}
print "hello $version answered $requests requests and leaves\n";

sub finished {
    return 0 unless $stopping;
    my $since = time - $stopping;
    if ($since >= $last_calls && $readers->exists($listener)) {
        $readers->remove($listener);
        close $listener;
        # Whoever only waits for a next request gets no answer any more.
        close_connection($_) for grep { $_->{in} eq '' && $_->{out} eq '' } values %connections;
    }
    return $since >= $patience || ($since >= $last_calls && !%connections);
}

sub accept_all {
    while (my $socket = $listener->accept) {
        $socket->blocking(0);
        $readers->add($socket);
        $connections{ fileno $socket } = { socket => $socket, in => '', out => '', moved => time, close => 0 };
    }
}

sub receive {
    my ($connection) = @_;
    return unless $connection;
    my $count = sysread $connection->{socket}, $connection->{in}, 65536, length $connection->{in};
    return if !defined $count && ($!{EAGAIN} || $!{EINTR});
    return close_connection($connection) unless $count;
    $connection->{moved} = time;
    # Requests may come back to back; their bodies are of no interest here.
    while (!$connection->{close} && $connection->{in} =~ s/\A(?:\r?\n)*(.+?)\r?\n\r?\n//s) {
        my $head = $1;
        my $length = $head =~ /^content-length:[ \t]*(\d+)/mi ? $1 : 0;
        $connection->{close} = 1 if $length || $head =~ /^transfer-encoding:/mi;
        answer($connection, $head);
    }
    if (!$connection->{close} && length $connection->{in} > $max_head) {
        respond($connection, 431, 'text/plain', "The request's head is too large\n", 1);
    }
    flush_out($connection);
}

sub answer {
    my ($connection, $head) = @_;
    my ($first, @headers) = split /\r?\n/, $head;
    my ($method, $path, $protocol) = $first =~ m{^([A-Z]+) (\S+) HTTP/(1\.[01])$};
    return respond($connection, 400, 'text/plain', "This is not a request\n", 1) unless $method;
    $requests++;
    my %header = map { /^([^:]+):\s*(.*?)\s*$/ ? (lc $1, $2) : () } @headers;
    my $wish = lc($header{connection} || '');
    $connection->{close} ||= $stopping || $wish eq 'close' || ($protocol eq '1.0' && $wish ne 'keep-alive');
    my $with_body = $method ne 'HEAD';
    $path =~ s/\?.*//s;
    if ($method ne 'GET' && $method ne 'HEAD') {
        respond($connection, 405, 'text/plain', "Only GET and HEAD are understood\n", 1);
    } elsif ($path eq '/healthz') {
        respond($connection, 200, 'text/plain', "ok\n", $with_body);
    } elsif ($path eq '/version') {
        respond($connection, 200, 'application/json', qq({"version":"$version","pod":"$pod"}\n), $with_body);
    } elsif ($path eq '/') {
        respond($connection, 200, 'text/html; charset=utf-8', fill_page(scalar @headers), $with_body);
    } else {
        respond($connection, 404, 'text/plain', "There is nothing at this address\n", $with_body);
    }
}

sub fill_page {
    my ($headers) = @_;
    my %value = (
        version  => $version,
        pod      => $pod,
        time     => POSIX::strftime('%Y-%m-%d %H:%M:%S UTC', gmtime),
        headers  => $headers,
        requests => $requests,
    );
    return $page =~ s/\{\{(\w+)\}\}/escape_html($value{$1} \/\/ '')/ger;
}

sub respond {
    my ($connection, $status, $type, $body, $with_body) = @_;
    my %reason = (200 => 'OK', 400 => 'Bad Request', 404 => 'Not Found', 405 => 'Method Not Allowed',
        431 => 'Request Header Fields Too Large');
    $connection->{close} = 1 if $status == 400 || $status == 431;
    $connection->{out} .= join "\r\n", "HTTP/1.1 $status $reason{$status}", "Content-Type: $type",
        'Content-Length: ' . length $body, 'Cache-Control: no-store', "X-Pod: $pod",
        'Connection: ' . ($connection->{close} ? 'close' : 'keep-alive'), '', $with_body ? $body : '';
}

sub flush_out {
    my ($connection) = @_;
    my $socket = $connection->{socket};
    while (length $connection->{out}) {
        my $count = syswrite $socket, $connection->{out};
        if (!defined $count) {
            return $writers->add($socket) if $!{EAGAIN} || $!{EINTR};
            return close_connection($connection);
        }
        substr $connection->{out}, 0, $count, '';
        $connection->{moved} = time;
    }
    $writers->remove($socket);
    close_connection($connection) if $connection->{close};
}

sub drop_idle {
    my $oldest = time - $max_idle;
    close_connection($_) for grep { $_->{moved} < $oldest } values %connections;
}

sub close_connection {
    my ($connection) = @_;
    my $socket = $connection->{socket};
    $readers->remove($socket);
    $writers->remove($socket);
    delete $connections{ fileno $socket };
    close $socket;
}

sub escape_html {
    my ($text) = @_;
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    $text =~ s/([&<>"])/$entity{$1}/g;
    return $text;
}

sub read_file {
    my ($name) = @_;
    open my $file, '<', $name or die "read $name: $!\n";
    local $/;
    return <$file>;
}
