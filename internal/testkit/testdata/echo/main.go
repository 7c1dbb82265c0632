// Command echo is a program to be started, watched and ended by the tests of package testkit.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	fmt.Fprintln(os.Stdout, "args", os.Args[1:], os.Getenv("ECHO"))
	fmt.Fprint(os.Stderr, "half a line ")
	fmt.Fprintln(os.Stderr, "is ready")
	<-c
	fmt.Fprintln(os.Stderr, "draining")
	os.Exit(3)
}
