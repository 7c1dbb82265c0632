// Command loadgen sends log lines as RFC 5424 messages over TCP, as fast as they are taken.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/gatebook/gatebook/bench/gen"
	"golang.org/x/sync/errgroup"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:5514", "receiver")
	n := flag.Int("n", 1_000_000, "messages; the file is repeated")
	conns := flag.Int("c", 2, "connections")
	octet := flag.Bool("octet", false, "octet-counted framing (RFC 6587 3.4.1) instead of newlines")
	file := flag.String("file", "auth.log", "lines, as bench/gen makes them")
	flag.Parse()
	messages, err := load(*file, *n, *octet)
	if err == nil {
		start := time.Now()
		err = send(*addr, messages, *n, *conns)
		fmt.Printf("{\"sent\":%d,\"conns\":%d,\"send_secs\":%.3f}\n", *n, *conns, time.Since(start).Seconds())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func load(path string, n int, octet bool) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var messages []string
	sc := bufio.NewScanner(f)
	for len(messages) < n && sc.Scan() {
		m := gen.Syslog(sc.Text())
		if octet {
			m = strconv.Itoa(len(m)) + " " + m
		} else {
			m += "\n"
		}
		messages = append(messages, m)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(messages) == 0 {
		return nil, fmt.Errorf("read %s: no lines", path)
	}
	return messages, nil
}

func send(addr string, messages []string, n, conns int) error {
	var g errgroup.Group
	for k := range conns {
		g.Go(func() error {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			defer conn.Close()
			w := bufio.NewWriterSize(conn, 64<<10)
			for i := k; i < n; i += conns {
				if _, err := w.WriteString(messages[i%len(messages)]); err != nil {
					return err
				}
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, conn) // until the receiver has read it all
			return err
		})
	}
	return g.Wait()
}
