package conf

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	maxFile      = 4 << 20 // bytes of one file
	maxTokens    = 250_000 // words, strings, brackets: lexer and parser take about 1 KiB for each
	maxNesting   = 64      // brackets, braces, parentheses, strings with templates, %{ if } within each other
	maxOperators = 1000    // operators of one expression: each is a level of the parser's or evaluator's stack
)

// scan looks at the tokens before the parser sees them. The HCL parser and evaluator descend recursively, and a Go stack that
// overflows cannot be recovered from: so what could make them descend is counted here, with HCL's own lexer, which does
// not recurse. hints gives, by line, what was probably meant where a number runs into a word (64KiB without quotes).
func scan(name string, src []byte) (hints map[int]string, bad *Diagnostic) {
	if estimateTokens(src) > maxTokens {
		return nil, &Diagnostic{Range: hcl.Range{Filename: name}, Message: fmt.Sprintf("more than %d words and brackets", maxTokens),
			Remedy: "split the file"}
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos) // its diagnostics come again from the parser
	s := scanner{operators: []int{0}}
	for i := range tokens {
		t := &tokens[i]
		if i > 0 {
			p := &tokens[i-1]
			if p.Type == hclsyntax.TokenNumberLit && t.Type == hclsyntax.TokenIdent && p.Range.End.Byte == t.Range.Start.Byte {
				if hints == nil {
					hints = map[int]string{}
				}
				hints[t.Range.Start.Line] = fmt.Sprintf("a value with a unit is a string: write \"%s%s\"", p.Bytes, t.Bytes)
			}
		}
		s.token(t)
		if len(s.closers) > maxNesting || s.ifs > maxNesting {
			return nil, &Diagnostic{Range: t.Range, Message: fmt.Sprintf("nested more than %d deep", maxNesting)}
		}
		if s.operators[len(s.operators)-1] > maxOperators {
			return nil, &Diagnostic{Range: t.Range, Message: fmt.Sprintf("an expression of more than %d operators", maxOperators),
				Remedy: "split it, or use a list"}
		}
	}
	return hints, nil
}

type scanner struct {
	closers   []hclsyntax.TokenType // what closes each open bracket, innermost last
	operators []int                 // operators so far of the expression at each nesting level
	ifs       int                   // open %{ if } and %{ for }
	last      hclsyntax.TokenType   // the last token that was neither line break nor comment
	newline   bool                  // there was a line break since
}

func (s *scanner) token(t *hclsyntax.Token) {
	switch t.Type {
	case hclsyntax.TokenNewline:
		s.newline = true
		return
	case hclsyntax.TokenComment: // "# ..." takes its line break with it
		s.newline = s.newline || bytes.HasSuffix(t.Bytes, []byte("\n"))
		return
	}
	last := s.last
	s.last = t.Type
	if s.newline {
		// A line break ends an expression unless an operator stands on either side of it.
		if !isOperator(last) && !isOperator(t.Type) {
			s.operators[len(s.operators)-1] = 0
		}
		s.newline = false
	}
	if isOperator(t.Type) {
		s.operators[len(s.operators)-1]++
	}
	switch t.Type {
	case hclsyntax.TokenComma:
		s.operators[len(s.operators)-1] = 0
	case hclsyntax.TokenOBrace:
		s.open(hclsyntax.TokenCBrace)
	case hclsyntax.TokenOBrack:
		s.open(hclsyntax.TokenCBrack)
	case hclsyntax.TokenOParen:
		s.open(hclsyntax.TokenCParen)
	case hclsyntax.TokenOQuote:
		s.open(hclsyntax.TokenCQuote)
	case hclsyntax.TokenOHeredoc:
		s.open(hclsyntax.TokenCHeredoc)
	case hclsyntax.TokenTemplateInterp:
		s.open(hclsyntax.TokenTemplateSeqEnd)
	case hclsyntax.TokenTemplateControl:
		s.open(hclsyntax.TokenTemplateSeqEnd)
	case hclsyntax.TokenIdent:
		if last != hclsyntax.TokenTemplateControl {
			return
		}
		switch string(t.Bytes) {
		case "if", "for":
			s.ifs++
		case "endif", "endfor":
			s.ifs = max(0, s.ifs-1)
		}
	default:
		// A closer that does not fit is left alone: counting too deep is safe, too flat is not.
		if n := len(s.closers); n > 0 && s.closers[n-1] == t.Type {
			s.closers = s.closers[:n-1]
			s.operators = s.operators[:len(s.operators)-1]
		}
	}
}

func (s *scanner) open(closer hclsyntax.TokenType) {
	s.closers = append(s.closers, closer)
	s.operators = append(s.operators, 0)
}

// isOperator reports what deepens the expression tree without a bracket that must close: unary and binary operators,
// conditionals, and indexing, whose results can be indexed again.
func isOperator(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash,
		hclsyntax.TokenPercent, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual,
		hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq,
		hclsyntax.TokenQuestion, hclsyntax.TokenColon, hclsyntax.TokenOBrack:
		return true
	}
	return false
}

// estimateTokens counts roughly, without memory: the text of a comment or heredoc counts as code, a string as three tokens, and
// after a template everything to the end of the line as code. What matters is that memory stays bounded for a file that is
// no config at all; depth, which would end the process, is counted exactly.
func estimateTokens(src []byte) int {
	n, word, quoted, template := 0, false, false, false
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case c == '\n':
			n++
			word, quoted, template = false, false, false
		case quoted && c == '\\':
			i++
		case (c == '$' || c == '%') && i+1 < len(src) && src[i+1] == '{':
			n++
			word, quoted, template = false, false, true
		case c == '"':
			n++
			word, quoted = false, !quoted && !template
		case quoted || c == ' ' || c == '\t' || c == '\r':
			word = false
		case c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			if !word {
				n++
			}
			word = true
		default:
			n++
			word = false
		}
	}
	return n
}
