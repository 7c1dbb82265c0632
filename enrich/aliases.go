package enrich

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatebook/gatebook/internal/conf"
)

// Aliases joins what different sources call one person: ids, e-mail addresses and names lead to one canonical user. All are compared in
// lower case, within a realm or, where an entry names none, in any. It does not change after it has been read.
type Aliases struct {
	canonical map[alias]string
	cache     *cache[string]
}

// alias is one name of somebody: realm and name in lower case.
type alias struct{ realm, name string }

// maxAliases bounds the table.
const maxAliases = 1_000_000

// readAliases reads the block users; nil where it holds none. What is wrong is noted at its place.
func readAliases(b *conf.Body, dir string) *Aliases {
	defer b.Close()
	a := &Aliases{canonical: map[alias]string{}, cache: newCache[string](8192)}
	for _, k := range b.Blocks("alias", 1) {
		realm, user := k.Body.String("realm", ""), k.Labels[0]
		if user == "" {
			k.LabelErrorf(0, "names nobody; write alias \"jdoe\" { ... }")
		}
		n := 0
		for _, kind := range [...]string{"ids", "emails", "names"} {
			for _, name := range k.Body.Strings(kind) {
				n++
				if other := a.add(realm, name, user); other != "" {
					k.Body.Errorf(kind, "%q is %q already", name, other)
				}
			}
		}
		if n == 0 {
			k.Body.Errorf("", "joins nothing; write ids = [...], emails = [...] or names = [...]")
		}
		k.Body.Close()
	}
	if path := b.String("aliases", ""); path != "" {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if err := a.readFile(path); err != nil {
			b.Errorf("aliases", "cannot be used: %v", err)
		}
	}
	if len(a.canonical) == 0 {
		return nil
	}
	return a
}

// add enters a name of a user; other is who has it already, if somebody else does.
func (a *Aliases) add(realm, name, user string) (other string) {
	key := alias{strings.ToLower(realm), strings.ToLower(name)}
	user = strings.ToLower(user)
	if old, ok := a.canonical[key]; ok && old != user {
		return old
	}
	a.canonical[key] = user
	return ""
}

// readFile reads a CSV file whose header names the columns: user, and any of id, email, name and realm. A cell may hold several,
// separated by semicolons.
func (a *Aliases) readFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.TrimLeadingSpace, r.Comment = true, '#'
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("read the header of %s: %w", path, err)
	}
	userColumn, realmColumn := -1, -1
	for i, name := range header {
		header[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		switch header[i] {
		case "user":
			userColumn = i
		case "realm":
			realmColumn = i
		case "id", "email", "name":
		default:
			return fmt.Errorf("%s: unknown column %q; known are user, id, email, name, realm", path, name)
		}
	}
	if userColumn < 0 {
		return fmt.Errorf("%s: the header has no column \"user\"", path)
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		line, _ := r.FieldPos(0)
		user, realm := strings.TrimSpace(row[userColumn]), ""
		if realmColumn >= 0 {
			realm = strings.TrimSpace(row[realmColumn])
		}
		if user == "" {
			return fmt.Errorf("%s:%d: the user is empty", path, line)
		}
		for i, cell := range row {
			if i == userColumn || i == realmColumn {
				continue
			}
			for name := range strings.SplitSeq(cell, ";") {
				if name = strings.TrimSpace(name); name == "" {
					continue
				}
				if other := a.add(realm, name, user); other != "" {
					return fmt.Errorf("%s:%d: %q is %q already", path, line, name, other)
				}
			}
		}
		if len(a.canonical) > maxAliases {
			return fmt.Errorf("%s: more than %d names", path, maxAliases)
		}
	}
}

// find returns the canonical user of the first of the names that is in the table; "" for none.
func (a *Aliases) find(realm string, names ...string) string {
	for _, name := range names {
		if name == "" {
			continue
		}
		user, ok := a.cache.get(realm, name)
		if !ok {
			folded := strings.ToLower(name)
			if user, ok = a.canonical[alias{strings.ToLower(realm), folded}]; !ok {
				user = a.canonical[alias{"", folded}]
			}
			if len(name) <= longestKey {
				a.cache.put(realm, name, user)
			}
		}
		if user != "" {
			return user
		}
	}
	return ""
}
