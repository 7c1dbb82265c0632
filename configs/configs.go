// Package configs holds what is shipped beside the program: the commented reference config and the sample logs, which
// `gatebook demo` reads. All addresses are of documentation networks, all names invented.
package configs

import "embed"

//go:generate go run ./gen

// Reference is the commented reference config, /etc/gatebook/gatebook.hcl of the packages.
//
//go:embed gatebook.hcl
var Reference []byte

// Samples holds the sample logs, samples/*.
//
//go:embed samples
var Samples embed.FS
