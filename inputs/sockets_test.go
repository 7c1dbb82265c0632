package inputs

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sweep closes what was reserved by an input that never ran, once it is given up.
func TestSocketsAbandon(t *testing.T) {
	sockets := NewSockets()
	in, err := newSyslogInput(t, two, Env{Sockets: sockets})
	if err != nil || in == nil {
		t.Fatal(err)
	}
	if err := sockets.Sweep(); err != nil || len(sockets.kept) != 2 {
		t.Errorf("%v, %d kept", err, len(sockets.kept))
	}
	sockets.Abandon()
	if err := sockets.Sweep(); err != nil || len(sockets.kept) != 0 {
		t.Errorf("%v, %d kept", err, len(sockets.kept))
	}
}

// An address that cannot be had is told while the input is made, with what helps.
func TestReserveTellsWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	sockets := NewSockets()
	defer sockets.Sweep()
	f := func(network, address, want string) {
		t.Helper()
		if err := sockets.Reserve(t.Context(), network, address, 0o660); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s: %v, want %q", network, address, err, want)
		}
	}
	f("tcp", address, "listen on tcp://"+address)
	f("tcp", address, "another program has the port")
	f("tcp", "192.0.2.1:0", "no interface of this machine has that address")
	f("unix", filepath.Join(t.TempDir(), "none", "s"), "the folder has to be there")
	for _, kind := range []string{"bulk", "http", "syslog"} {
		block := "listen = \"" + address + "\"\napi_key = \"" + testSecret + "\""
		if kind == "syslog" {
			block = "listen = [\"tcp://" + address + "\"]"
		}
		c, ds := decodeInput(kind, block)
		if ds.HasErrors() {
			t.Fatal(ds)
		}
		_, err := c.New(Env{Logger: testLogger(), Sockets: sockets})
		if err == nil || !strings.Contains(err.Error(), `input "fleet": listen on tcp://`+address) {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := c.New(Env{Logger: testLogger(), Sockets: sockets, Once: true}); err != nil {
			t.Errorf("%s, once: %v", kind, err)
		}
	}
}

// Two inputs of one config cannot have the same address; the next generation can.
func TestReserveTwice(t *testing.T) {
	sockets := NewSockets()
	defer sockets.Sweep()
	const address = "127.0.0.1:0"
	if err := sockets.Reserve(t.Context(), "tcp", address, 0); err != nil {
		t.Fatal(err)
	}
	if err := sockets.Reserve(t.Context(), "tcp", address, 0); !errors.Is(err, ErrInUse) {
		t.Errorf("%v", err)
	}
	sockets.Abandon()
	if err := sockets.Reserve(t.Context(), "tcp", address, 0); err != nil {
		t.Error(err)
	}
	if err := sockets.Sweep(); err != nil {
		t.Error(err)
	}
	l, err := sockets.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := sockets.Reserve(t.Context(), "tcp", address, 0); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is used: %v", err)
	}
}

// A listener that moves to all addresses, on the same port, is not in its own way; and back, where the new config cannot start.
func TestReserveWidensAnAddress(t *testing.T) {
	sockets := NewSockets()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	narrow := l.Addr().String()
	_, port, _ := net.SplitHostPort(narrow)
	sockets.kept["tcp://"+narrow] = l.(*net.TCPListener)
	for _, address := range []string{":" + port, narrow, "0.0.0.0:" + port} {
		if err := sockets.Reserve(t.Context(), "tcp", address, 0); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		sockets.Abandon()
	}
	if err := sockets.Sweep(); err != nil {
		t.Error(err)
	}
}

// The file of a Unix socket is never open to more than its mode allows, and what somebody puts in its place keeps its mode.
func TestUnixSocketModes(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "gb") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	of := func(path string) os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	for _, network := range []string{"unix", "unixgram"} {
		bound := filepath.Join(dir, network)
		socket, err := openSocket(t.Context(), network, bound, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if got := of(bound); got&^0o640 != 0 {
			t.Errorf("%s: bound with %o", network, got)
		}
		if err := setMode(network, bound, 0o666); err != nil || of(bound) != 0o666 {
			t.Errorf("%s: %v %o", network, err, of(bound))
		}
		if err := socket.Close(); err != nil {
			t.Error(err)
		}
	}
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if err := setMode("unix", path, 0o666); err == nil || of(file) != 0o600 {
			t.Errorf("%s: %v %o", path, err, of(file))
		}
	}
}
