package inputs

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/gatebook/gatebook/internal/conf"
)

// senderKey is who may deliver, and what.
type senderKey struct {
	name      string
	token     *[32]byte // digest of the API key
	user      *[32]byte // digests of user name and password
	password  [32]byte
	signature *signature // input "http"
	path      string     // of input "http"
	source    Source
	counts    *keyCounts
}

// keyOptions are what a kind of input allows in its keys.
type keyOptions struct{ gatebook, hmac bool }

// keyName is what a key may be called: it stands before ids, and in metrics.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// decodeKeys reads the key of the block itself, named "default", and its key blocks.
func (c *listenerConfig) decodeKeys(b *conf.Body, o keyOptions) {
	if k := c.decodeSecret(b, "default", o); k != nil {
		k.source = c.source
		c.addKey(k)
	}
	for _, block := range b.Blocks("key", 1) {
		name := block.Labels[0]
		k := c.decodeSecret(block.Body, name, o)
		switch {
		case !keyName.MatchString(name):
			block.LabelErrorf(0, "%q is no name: letters, digits, '_', '-' and '.', at most 64", name)
		case k == nil && !block.Body.Has("username"):
			block.Body.Errorf("", "has no secret; add api_key = file(\"...\"), or username and password")
		case k != nil:
			for _, other := range c.keys {
				if other.name == name {
					block.LabelErrorf(0, "%q is the name of the key that the block itself has", name)
				} else if other.token != nil && k.token != nil && *other.token == *k.token {
					block.Body.Errorf("api_key", "is that of key %q, too: nobody could tell them apart", other.name)
				}
			}
			c.addKey(k)
		}
		source := decodeKeySource(block.Body, c.source, o)
		if k != nil {
			k.source = source
			k.path = block.Body.String("path", "")
			if k.path != "" && (k.path[0] != '/' || !o.hmac) {
				block.Body.Errorf("path", "begins with / and is for input \"http\" only")
			}
		}
		block.Body.Close()
	}
	for _, k := range c.keys {
		k.source.Key = k.name
	}
}

func (c *listenerConfig) addKey(k *senderKey) { c.keys = append(c.keys, k) }

// decodeSecret reads how a key shows itself; nil where the body says nothing of it.
func (c *listenerConfig) decodeSecret(b *conf.Body, name string, o keyOptions) *senderKey {
	k := &senderKey{name: name, counts: &keyCounts{}}
	ways := 0
	if b.Has("api_key") {
		ways++
		secret := b.String("api_key", "")
		if secret == "" {
			b.Errorf("api_key", "is empty; take a long random text, such as `openssl rand -hex 24` gives")
		}
		warnShort(b, "api_key")
		k.token = digest(secret)
	}
	user, password := b.String("username", ""), b.String("password", "")
	if b.Has("username") || b.Has("password") {
		ways++
		if user == "" || password == "" {
			b.Errorf("username", "username and password go together, and neither is empty")
		}
		warnShort(b, "password")
		k.user, k.password = digest(user), *digest(password)
	}
	if o.hmac {
		if block := b.Block("hmac"); block != nil {
			ways++
			k.signature = decodeSignature(block.Body)
		}
	}
	if ways > 1 {
		b.Errorf("", "a key has one secret: api_key, or username and password%s", map[bool]string{true: ", or hmac"}[o.hmac])
	}
	if ways == 0 {
		return nil
	}
	return k
}

// warnShort warns of a secret that could be guessed: nothing slows down who tries many.
func warnShort(b *conf.Body, name string) {
	if n := len(b.String(name, "")); n > 0 && n < 16 {
		b.Warnf(name, "is short enough to be guessed; take a long random text, such as `openssl rand -hex 24` gives")
	}
}

// decodeKeySource reads what a key may deliver; the block around it gives the defaults.
func decodeKeySource(b *conf.Body, s Source, o keyOptions) Source {
	s.Parser, s.Realm = b.String("parser", s.Parser), b.String("realm", s.Realm)
	s.Labels = slices.Concat(s.Labels, decodeLabels(b))
	if o.gatebook {
		s.Trusted = b.Bool("gatebook", false)
	}
	for _, list := range []struct {
		name string
		to   *[]string
	}{{"datasets", &s.Datasets}, {"hosts", &s.Hosts}} {
		for _, p := range b.Strings(list.name) {
			p = strings.ToLower(strings.TrimPrefix(p, "gatebook."))
			if _, err := path.Match(p, ""); err != nil || p == "" {
				b.Errorf(list.name, "%q is not a pattern; write a name, with * for any text in it", p)
			}
			*list.to = append(*list.to, p)
		}
		if b.Has(list.name) && len(*list.to) == 0 {
			b.Errorf(list.name, "allows nothing; leave it out to allow everything")
		}
	}
	return s
}

func digest(s string) *[32]byte {
	d := sha256.Sum256([]byte(s))
	return &d
}

// authenticate returns the key that a request shows by its Authorization header, nil where it shows none. All keys are compared, by
// digests, so that the time that it takes tells nothing.
func authenticate(keys []*senderKey, r *http.Request) *senderKey {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	var found *senderKey
	switch strings.ToLower(scheme) {
	case "apikey", "bearer":
		whole := digest(value)
		decoded, rest, id := whole, whole, ""
		if b, err := base64.StdEncoding.DecodeString(value); err == nil {
			decoded = digest(string(b))
			var secret string
			id, secret, _ = strings.Cut(string(b), ":")
			rest = digest(secret)
		}
		for _, k := range keys {
			if k.token == nil {
				continue
			}
			// The key as it is; in base64, as Elasticsearch wants it; after its name.
			same := subtle.ConstantTimeCompare(k.token[:], whole[:]) | subtle.ConstantTimeCompare(k.token[:], decoded[:])
			if id == k.name {
				same |= subtle.ConstantTimeCompare(k.token[:], rest[:])
			}
			if same == 1 && k.allows(r) {
				found = k
			}
		}
	case "basic":
		user, password, ok := r.BasicAuth()
		if !ok {
			return nil
		}
		u, p := digest(user), digest(password)
		for _, k := range keys {
			if k.user != nil && subtle.ConstantTimeCompare(k.user[:], u[:])&subtle.ConstantTimeCompare(k.password[:], p[:]) == 1 && k.allows(r) {
				found = k
			}
		}
	}
	return found
}

// allows says that the key is for the request's path.
func (k *senderKey) allows(r *http.Request) bool { return k.path == "" || k.path == r.URL.Path }
