package agent

import (
	"github.com/hashicorp/hcl/v2"

	"github.com/gatebook/gatebook/event"
	"github.com/gatebook/gatebook/internal/conf"
	"github.com/gatebook/gatebook/query"
)

// compileWhen turns an output's `when` into a match function; what is wrong with it is noted at its place.
func compileWhen(body *conf.Body, expr hcl.Expression) func(*event.Event) bool {
	tree, diags := query.FromHCL(expr)
	for _, d := range diags {
		at := expr.Range()
		if d.Subject != nil {
			at = *d.Subject
		}
		body.File().ErrorAt(at, d.Summary, d.Detail)
	}
	if diags.HasErrors() {
		return nil
	}
	return query.Compile(tree)
}
