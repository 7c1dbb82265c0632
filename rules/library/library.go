// Package library holds the detections that ship with Gatebook, as rule files, and the lists that a site fills in.
//
//	*.hcl -> Files -> rules.Load, before the site's own files: a list of the same name there takes the place of the one here
//
// What it promises: every detection that the guides of the covered systems name is there (docs/detections.md, made from
// detections.txt); each rule says what it looks for, what else looks like it and what to do, and is shown by tests both to fire and to stay
// quiet; what would flood a normal company is in shadow for its first two weeks, and a month without an attack brings no alert of high
// severity. The rules make no use of anything that rules of a site cannot.
package library

import (
	"embed"
	"fmt"
)

//go:embed *.hcl
var files embed.FS

// File is a rule file.
type File struct {
	Name string // without a folder: "authentication.hcl"
	Text []byte // not to be changed
}

// Files returns the rule files, sorted by name.
func Files() []File {
	entries, err := files.ReadDir(".") // sorted
	if err != nil {
		panic(fmt.Sprintf("read the embedded rules: %v", err)) // they are part of the binary
	}
	list := make([]File, len(entries))
	for i, e := range entries {
		list[i].Name = e.Name()
		if list[i].Text, err = files.ReadFile(e.Name()); err != nil {
			panic(fmt.Sprintf("read the embedded rules: %v", err))
		}
	}
	return list
}
