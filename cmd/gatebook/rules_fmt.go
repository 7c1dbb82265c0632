package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/internal/conf"
)

func rulesFmtCommand() *cobra.Command {
	var write, check bool
	cmd := &cobra.Command{
		Use:     "fmt FILE|DIR...",
		Short:   "Put rule files into the usual form",
		Long:    `fmt prints HCL files with the usual indentation and alignment; --write puts them in place, --check lists those that differ and exits 1.`,
		Example: "  gatebook rules fmt --write /etc/gatebook/rules.d\n  gatebook rules fmt --check rules.d",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := hclFiles(args)
			if err != nil {
				return err
			}
			differ := false
			for _, path := range files {
				changed, err := formatFile(cmd, path, write, check)
				if err != nil {
					return err
				}
				differ = differ || changed
			}
			if check && differ {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&write, "write", "w", false, "rewrite the files that differ")
	cmd.Flags().BoolVar(&check, "check", false, "list the files that differ, exit 1 if there are any")
	return cmd
}

// hclFiles lists the files, and those *.hcl of the folders.
func hclFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		err = filepath.WalkDir(inFolder(arg), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".hcl") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// inFolder names a folder so that it is walked where it is a link to one.
func inFolder(path string) string {
	return strings.TrimRight(path, string(os.PathSeparator)) + string(os.PathSeparator)
}

// formatFile prints, lists or rewrites a file, and tells whether it differs from its usual form.
func formatFile(cmd *cobra.Command, path string, write, check bool) (bool, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	// The check of size and nesting comes first: deep nesting is more than the HCL parser takes.
	if _, problems := conf.Parse(path, src, conf.WithoutEnvironment()); problems.HasErrors() {
		if err := problems.Write(cmd.ErrOrStderr(), true); err != nil {
			return false, err
		}
		return false, errNo
	}
	if _, diags := hclwrite.ParseConfig(src, path, hcl.InitialPos); diags.HasErrors() {
		return false, fmt.Errorf("format %s: %w", path, diags)
	}
	out := hclwrite.Format(src)
	differs := !bytes.Equal(src, out)
	switch {
	case check:
		if differs {
			fmt.Fprintln(cmd.OutOrStdout(), path)
		}
	case write:
		if differs {
			return true, replaceFile(path, out)
		}
	default:
		_, err = cmd.OutOrStdout().Write(out)
	}
	return differs, err
}

// replaceFile puts a new content in place of a file's in one step, with its mode and owner. A link stays one.
func replaceFile(path string, content []byte) (err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".fmt-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(content); err == nil {
		keepOwner(f, info)
		err = f.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// keepOwner gives a file the owner and group of another, where this process may: an agent may have to read by its group what root rewrites.
func keepOwner(f *os.File, of os.FileInfo) {
	if st, ok := of.Sys().(*syscall.Stat_t); ok && f.Chown(int(st.Uid), int(st.Gid)) != nil {
		_ = f.Chown(-1, int(st.Gid)) // who is not root may give it to a group of his own
	}
}
