package dashboard

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/query"
)

// What the pages are written in. Conditions are texts of the query language.
type (
	page struct {
		id, title, about string
		controls         []string // fields
		searches         []string
		rows             []row
	}
	row struct {
		height int
		panels []panel
	}
	panel struct {
		width        int
		kind         Kind
		title, about string
		view         View // "" is Events
		where        string
		by           []by
		figures      []figure // none: the count
		search       string
		to           string
	}
	by struct {
		field, title string
		size         int
	}
	figure struct {
		title string
		kind  query.FigureKind
		field string
		where string
		tone  Tone
	}
	search struct {
		id, title, about string
		view             View
		where            string
		columns          string // separated by spaces
		oldestFirst      bool
	}
)

// overTime is the bucket of time.
var overTime = by{field: "@timestamp"}

// tileLevel is how fine the tiles of a map are: 7 is about 300 km at the equator.
const tileLevel = 7

// linksHeight is the height of the panel of links.
const linksHeight = 5

func build() (*Book, error) {
	b := &Book{}
	for _, s := range searches {
		made, err := s.build()
		if err != nil {
			return nil, fmt.Errorf("search %s: %w", s.id, err)
		}
		b.Searches = append(b.Searches, made)
	}
	for _, p := range pages {
		made, err := p.build(b)
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", p.id, err)
		}
		b.Pages = append(b.Pages, made)
	}
	return b, b.check()
}

func (p page) build(b *Book) (Page, error) {
	made := Page{ID: p.id, Title: p.title, About: p.about, Searches: p.searches}
	for _, name := range p.controls {
		f, err := field(name)
		if err != nil {
			return made, err
		}
		made.Controls = append(made.Controls, Control{f, FieldTitle(f)})
	}
	made.Panels = []Panel{{ID: p.id + "-links", Title: "Where to go on", Kind: Links, View: Events, Place: Place{0, 0, Columns, linksHeight}}}
	y := linksHeight
	for _, r := range p.rows {
		x := 0
		for _, one := range r.panels {
			panel, err := one.build()
			if err != nil {
				return made, fmt.Errorf("panel %q: %w", one.title, err)
			}
			panel.ID, panel.Place = p.id+"-"+slug(one.title), Place{x, y, one.width, r.height}
			made.Panels = append(made.Panels, panel)
			x += one.width
		}
		y += r.height
	}
	return made, nil
}

func (p panel) build() (Panel, error) {
	made := Panel{Title: p.title, About: p.about, Kind: p.kind, View: p.view, Search: p.search, To: p.to}
	if made.View == "" {
		made.View = Events
	}
	if p.kind == Records {
		return made, nil
	}
	var err error
	if made.Ask.Where, err = made.View.where(p.where); err != nil {
		return made, err
	}
	for _, b := range p.by {
		f, err := field(b.field)
		if err != nil {
			return made, err
		}
		bucket := query.Bucket{Field: f}
		switch f.Type() {
		case event.DateTime:
			bucket.Kind = query.Dates
		case event.Place:
			bucket.Kind, bucket.Zoom = query.Tiles, tileLevel
		default:
			bucket.Size = 10
			if b.size > 0 {
				bucket.Size = b.size
			}
		}
		made.Ask.By = append(made.Ask.By, bucket)
		made.Columns = append(made.Columns, Column{Title: either(b.title, FieldTitle(f))})
	}
	figures := p.figures
	if len(figures) == 0 {
		figures = []figure{{title: "Records"}}
	}
	for _, f := range figures {
		made.Columns = append(made.Columns, Column{Title: either(f.title, p.title), Tone: f.tone})
		figure := query.Figure{Kind: f.kind}
		if f.kind != query.Count {
			if figure.Field, err = field(f.field); err != nil {
				return made, err
			}
		}
		if f.where != "" {
			if figure.Where, err = parse(f.where); err != nil {
				return made, err
			}
		}
		made.Ask.Figures = append(made.Ask.Figures, figure)
	}
	return made, nil
}

func (s search) build() (Search, error) {
	made := Search{ID: s.id, Title: s.title, About: s.about, View: s.view, Sort: query.Field{ID: event.FieldTimestamp}, Ascending: s.oldestFirst}
	if made.View == "" {
		made.View = Events
	}
	var err error
	if made.Where, err = made.View.where(s.where); err != nil {
		return made, err
	}
	for _, name := range strings.Fields(s.columns) {
		id, ok := event.FieldByName(name) // also what is stored and not indexed
		if !ok {
			return made, fmt.Errorf("no field %q", name)
		}
		made.Columns = append(made.Columns, query.Field{ID: id})
	}
	return made, nil
}

// check finds what the parts do not see of each other.
func (b *Book) check() error {
	seen := map[string]bool{}
	once := func(id string) error {
		if seen[id] {
			return fmt.Errorf("%s: two have that id", id)
		}
		seen[id] = true
		return nil
	}
	for _, s := range b.Searches {
		if err := once("search " + s.ID); err != nil {
			return err
		}
	}
	for _, p := range b.Pages {
		if err := once("page " + p.ID); err != nil {
			return err
		}
		for _, id := range p.Searches {
			if _, ok := b.Search(id); !ok {
				return fmt.Errorf("page %s: no search %q", p.ID, id)
			}
		}
		for _, panel := range p.Panels {
			if err := once("panel " + panel.ID); err != nil {
				return err
			}
			if err := b.checkPanel(panel); err != nil {
				return fmt.Errorf("page %s: panel %q: %w", p.ID, panel.Title, err)
			}
		}
	}
	return nil
}

func (b *Book) checkPanel(p Panel) error {
	if _, ok := b.Page(p.To); p.To != "" && !ok {
		return fmt.Errorf("no page %q", p.To)
	}
	if _, ok := b.Search(p.Search); ok != (p.Kind == Records) {
		return fmt.Errorf("search %q", p.Search)
	}
	if p.Place.X+p.Place.W > Columns || p.Place.W <= 0 || p.Place.H <= 0 {
		return fmt.Errorf("it reaches from column %d to %d of %d", p.Place.X, p.Place.X+p.Place.W, Columns)
	}
	dates, tiles := 0, 0
	for i, by := range p.Ask.By {
		switch by.Kind {
		case query.Dates:
			dates++
			if i != len(p.Ask.By)-1 {
				return fmt.Errorf("time is the innermost bucket, so that the others are the most frequent of the whole time")
			}
		case query.Tiles:
			tiles++
		}
	}
	n, figures := len(p.Ask.By), len(p.Ask.Figures)
	fits := map[Kind]bool{
		Metric:  n == 0 && figures == 1,
		Time:    dates == 1 && n <= 2 && (n == 1 || figures == 1),
		Line:    dates == 1 && n <= 2 && (n == 1 || figures == 1),
		Bar:     dates+tiles == 0 && (n == 1 || n == 2 && figures == 1),
		Donut:   dates+tiles == 0 && n == 1 && figures == 1,
		Table:   dates+tiles == 0 && n >= 1,
		Map:     tiles == 1 && n == 1 && figures >= 1,
		Records: n+figures == 0, Links: n+figures == 0,
	}
	if !fits[p.Kind] {
		return fmt.Errorf("a panel of kind %s cannot show %d buckets and %d figures", p.Kind, n, figures)
	}
	return nil
}

// field finds a field of the table; unlike query.FieldNamed also those about the Gatebook that read an event, which tell the members of a fleet apart.
func field(name string) (query.Field, error) {
	if id, ok := event.FieldByName(name); ok && strings.HasPrefix(name, "agent.") {
		return query.Field{ID: id}, nil
	}
	f, err := query.FieldNamed(name)
	if err == nil && f.Name() != name {
		err = fmt.Errorf("%q is called %q here", name, f.Name())
	}
	return f, err
}

// where reads a condition on the records of a view.
func (v View) where(text string) (query.Expr, error) {
	switch {
	case v != Alerts:
	case text == "":
		text = alert
	default:
		text = alert + " && (" + text + ")"
	}
	return parse(text)
}

// parse reads a condition; "" is all.
func parse(text string) (query.Expr, error) {
	if text == "" {
		return nil, nil
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	if !diags.HasErrors() {
		var e query.Expr
		if e, diags = query.FromHCL(expr); !diags.HasErrors() {
			return e, nil
		}
	}
	return nil, fmt.Errorf("condition %q: %w", text, diags)
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// slug makes a part of an id of a title.
func slug(title string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == ' ', r == '-', r == '/':
			return '-'
		}
		return -1
	}, title), "-")
}
