package rules

const maxSourceCost = 20_000_000

func (x *ruleReader) tests() { x.body.Blocks("test", 1) }
