package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatebook/gatebook/rules/sigma"
)

func rulesImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import",
		Short:   "Bring in rules of other formats",
		Example: "  gatebook rules import sigma --output rules.d/sigma.hcl ./sigma/rules",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(importSigmaCommand())
	return cmd
}

func importSigmaCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "sigma FILE|DIR...",
		Short: "Translate Sigma rules and correlations",
		Long: `sigma translates Sigma rules and correlations into rule files (docs/sigma.md). What cannot be translated is reported with its place, and a rule that
would mean less than its author wrote is left out: the exit code is 1 then, and what could be translated is written all the same.`,
		Example: "  gatebook rules import sigma --output rules.d/sigma.hcl ./sigma/rules/linux",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := sigmaFiles(args)
			if err != nil {
				return err
			}
			result, err := sigma.ImportFiles(files, sigma.Options{})
			for _, r := range result.Reports {
				fmt.Fprintln(cmd.ErrOrStderr(), r)
			}
			if len(result.HCL) > 0 {
				if output == "" {
					if _, werr := cmd.OutOrStdout().Write(result.HCL); werr != nil {
						return werr
					}
				} else if werr := os.WriteFile(output, result.HCL, 0o644); werr != nil {
					return werr
				}
			}
			dropped := 0
			for _, r := range result.Reports {
				if r.Dropped {
					dropped++
				}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d rules written, %d reports\n", len(result.Rules), len(result.Reports))
			if err != nil {
				return err
			}
			if dropped > 0 {
				return errNo
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write (default: standard output)")
	return cmd
}

// sigmaFiles reads the files, and those *.yml and *.yaml of the folders.
func sigmaFiles(args []string) ([]sigma.File, error) {
	var files []sigma.File
	add := func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		const most = 8 << 20
		if info.Size() > most {
			return fmt.Errorf("read %s: larger than 8 MiB", path)
		}
		text, err := os.ReadFile(path)
		files = append(files, sigma.File{Name: path, Text: text})
		return err
	}
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if err := add(arg); err != nil {
				return nil, err
			}
			continue
		}
		err = filepath.WalkDir(inFolder(arg), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".yml") || strings.HasSuffix(path, ".yaml")) {
				return add(path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}
