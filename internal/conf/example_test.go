package conf_test

import (
	"fmt"
	"os"
	"time"

	"github.com/gatebook/gatebook/internal/conf"
)

// fileInput is what a component keeps of its block.
type fileInput struct {
	paths   []string
	parser  string
	from    string
	maxLine int64
	idle    time.Duration
}

// decodeFileInput is the component's half: it alone knows these names.
func decodeFileInput(b *conf.Body) fileInput {
	b.Require("paths", `["/var/log/auth.log"]`)
	in := fileInput{
		paths:   b.Strings("paths"),
		parser:  b.String("parser", "auto"),
		from:    b.Enum("from", "beginning", "beginning", "end"),
		maxLine: b.Size("max_line", 64<<10, 1<<10, 16<<20),
		idle:    b.Duration("close_idle", 5*time.Minute, time.Second, 0),
	}
	b.Close()
	return in
}

// A component decodes its block; the agent knows only type and labels. All errors are found in one run.
func Example() {
	file, _ := conf.Parse("gatebook.hcl", []byte(`
data_dir = "/var/lib/gatebook"

input "file" "auth" {
  paths    = "/var/log/auth.log"
  from     = "beginnings"
  max_line = 64
  parsr    = "linux_auth"
}
`))
	root := file.Body()
	root.RequiredString("data_dir")
	for _, block := range root.Blocks("input", 2) {
		decodeFileInput(block.Body)
	}
	root.Close()

	if err := file.Diagnostics().Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// gatebook.hcl:5:14: paths: want a list of strings, got a string; write paths = ["/var/log/auth.log"]
	// gatebook.hcl:6:14: from: "beginnings" is not one of "beginning", "end"; did you mean "beginning"?
	// gatebook.hcl:7:14: max_line: want a size such as "64KiB" or "2GiB", got a number; with its unit, in quotes: max_line = "64B"
	// gatebook.hcl:8:3: unknown attribute "parsr" in input "file" "auth"; did you mean "parser"?
}

// Write shows the place in the source, as `gatebook check` does.
func ExampleDiagnostics_Write() {
	file, _ := conf.Parse("gatebook.hcl", []byte("buffer {\n  on_full = \"drop-oldst\"\n}\n"))
	if buffer := file.Body().Block("buffer"); buffer != nil {
		buffer.Body.Enum("on_full", "block", "block", "drop-oldest")
		buffer.Body.Close()
	}
	file.Body().Close()
	if err := file.Diagnostics().Write(os.Stdout, true); err != nil {
		fmt.Println(err)
	}
	// Output:
	// gatebook.hcl:2:13: on_full: "drop-oldst" is not one of "block", "drop-oldest"; did you mean "drop-oldest"?
	//     2 |   on_full = "drop-oldst"
	//       |             ^^^^^^^^^^^^
}
