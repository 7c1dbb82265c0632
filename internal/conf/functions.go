package conf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

const maxSecretFile = 1 << 20 // bytes that file() reads

// sensitive marks what env() and file() returned, and everything computed from it.
type sensitiveMark struct{}

var sensitive = sensitiveMark{}

// functionError is an error of our own functions: its text never holds a value that they returned.
type functionError struct{ message, remedy string }

func (e *functionError) Error() string { return e.message }

// functions are the names an expression may call. They belong to one file: file() is relative to its folder.
func (f *File) functions() map[string]function.Function {
	return map[string]function.Function{
		"env":       f.envFunction(),
		"file":      f.fileFunction(),
		"lower":     stdlib.LowerFunc,
		"upper":     stdlib.UpperFunc,
		"concat":    stdlib.ConcatFunc,
		"format":    formatFunction,
		"join":      stdlib.JoinFunc,
		"trimspace": stdlib.TrimSpaceFunc,
		"coalesce":  stdlib.CoalesceFunc,
	}
}

func nameParameter(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.String, AllowMarked: true}
}

func (f *File) envFunction() function.Function {
	params := nameParameter("name")
	rest := nameParameter("default")
	rest.AllowNull = true
	return function.New(&function.Spec{
		Params:   []function.Parameter{params},
		VarParam: &rest,
		Type:     function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if f.noEnvironment {
				return cty.NilVal, &functionError{"env() is not available in this kind of file", ""}
			}
			if len(args) > 2 {
				return cty.NilVal, &functionError{"env() takes a name and at most one default", `write env("NAME", "default")`}
			}
			name, shown := argument(args[0])
			if value, ok := f.lookupEnv(name); ok {
				if !utf8.ValidString(value) {
					return cty.NilVal, &functionError{fmt.Sprintf("the environment variable %s is not valid UTF-8", shown), ""}
				}
				f.secret(value)
				return cty.StringVal(value).Mark(sensitive), nil
			}
			if len(args) == 2 {
				return args[1], nil
			}
			return cty.NilVal, &functionError{fmt.Sprintf("the environment variable %s is not set", shown),
				fmt.Sprintf("set it, or give a default: env(%s, \"...\")", shown)}
		},
	})
}

func (f *File) fileFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{nameParameter("path")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if f.noEnvironment {
				return cty.NilVal, &functionError{"file() is not available in this kind of file", ""}
			}
			path, shown := argument(args[0])
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(f.name), path)
				if shown != hiddenValue {
					shown = fmt.Sprintf("%q", path)
				}
			}
			text, public, err := readSecret(path)
			if err != nil {
				return cty.NilVal, &functionError{fmt.Sprintf("read file %s: %v", shown, err), ""}
			}
			if public && f.reading != nil {
				f.add(Diagnostic{Severity: Warning, Range: f.reading.expr.Range(),
					Message: fmt.Sprintf("%s: every user of this machine can read file %s", f.reading.name, shown),
					Remedy:  "if it is a secret: chmod o-r"})
			}
			f.secret(text)
			return cty.StringVal(text).Mark(sensitive), nil
		},
	})
}

// argument gives a string argument and how it may be shown.
func argument(v cty.Value) (value, shown string) {
	plain, marks := v.Unmark()
	if len(marks) > 0 {
		return plain.AsString(), hiddenValue
	}
	return plain.AsString(), fmt.Sprintf("%q", plain.AsString())
}

// readSecret reads a small regular file without ever blocking on a FIFO. One trailing line break is cut. Its errors name no path.
func readSecret(path string) (text string, public bool, err error) {
	b, mode, err := readRegular(path, maxSecretFile)
	if err != nil {
		return "", false, err
	}
	text = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if !utf8.ValidString(text) {
		return "", false, errors.New("not valid UTF-8")
	}
	return text, mode.Perm()&0o004 != 0, nil
}

// readRegular reads a regular file of at most limit bytes.
func readRegular(path string, limit int64) ([]byte, os.FileMode, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, 0, withoutPath(err)
	}
	if int64(len(b)) > limit {
		return nil, 0, fmt.Errorf("larger than %s", FormatSize(limit))
	}
	return b, info.Mode(), nil
}

// withoutPath strips the path that package os puts into its errors: the caller shows it once, if it may be shown.
func withoutPath(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// formatFunction is stdlib's format less widths and precisions that would fill the memory.
var formatFunction = function.New(&function.Spec{
	Params:   []function.Parameter{{Name: "format", Type: cty.String}},
	VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType, AllowNull: true},
	Type:     function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if wideVerb.MatchString(args[0].AsString()) {
			return cty.NilVal, function.NewArgErrorf(0, "a width or precision of more than three digits")
		}
		return stdlib.FormatFunc.Call(args)
	},
})

var wideVerb = regexp.MustCompile(`%[^a-zA-Z%]*[0-9]{4}`)

// secret remembers a value that must not appear in any message.
func (f *File) secret(value string) {
	if value == "" {
		return
	}
	f.secrets[value] = struct{}{}
	if f.reading != nil {
		f.reading.secrets = append(f.reading.secrets, value)
	}
}

func (f *File) context() *hcl.EvalContext {
	if f.eval == nil {
		f.eval = &hcl.EvalContext{Functions: f.functions()}
	}
	return f.eval
}
