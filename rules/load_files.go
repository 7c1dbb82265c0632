package rules

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// maxRuleFile is more than package conf reads, which tells of larger ones.
const maxRuleFile = 5 << 20

// ReadDir reads the files *.hcl of a folder, in the order of their names. Symbolic links are followed; folders within are left alone.
func ReadDir(dir string) ([]Source, error) {
	entries, err := os.ReadDir(dir) // in the order of the names
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	var sources []Source
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".hcl") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		s, err := readSource(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// ReadFiles reads the files that patterns (as of filepath.Match) name: pattern by pattern, those of one in the order of their names, each file
// once. A pattern may match nothing; a plain name has to be there.
func ReadFiles(patterns []string) ([]Source, error) {
	var sources []Source
	var seen []string
	for _, p := range patterns {
		paths, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("read rules: pattern %q: %w", p, err)
		}
		if len(paths) == 0 && !strings.ContainsAny(p, `*?[\`) {
			paths = []string{p} // the error says what is wrong with it
		}
		slices.Sort(paths)
		for _, path := range paths {
			if slices.Contains(seen, filepath.Clean(path)) {
				continue
			}
			seen = append(seen, filepath.Clean(path))
			s, err := readSource(path)
			if err != nil {
				return nil, err
			}
			sources = append(sources, s)
		}
	}
	return sources, nil
}

func readSource(path string) (Source, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not block
	if err != nil {
		return Source{}, fmt.Errorf("read rules: %w", err)
	}
	defer file.Close()
	text, err := readBounded(file, maxRuleFile)
	if err != nil {
		return Source{}, fmt.Errorf("read rules %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	if dir == "" {
		return Source{}, errors.New("read rules: the path is empty")
	}
	return Source{Name: path, Text: text, Dir: dir}, nil
}

func cutFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
