//go:build !linux

package buffer

func runHelper() bool { return false }
