package ruletest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// JUnit writes results in the format that build servers read: a suite for each rule, a case for each test.
func JUnit(w io.Writer, results []Result) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testCase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		File    string   `xml:"file,attr"`
		Time    string   `xml:"time,attr"`
		Failure *failure `xml:"failure,omitempty"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	type suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Suites   []suite  `xml:"testsuite"`
	}
	all := suites{}
	for i := range results {
		r := &results[i]
		s := suite{Name: r.Rule.ID, Tests: len(r.Tests), Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
		for _, t := range r.Tests {
			c := testCase{Name: Title(t.Test), Class: r.Rule.ID, File: Place(t.Test), Time: fmt.Sprintf("%.3f", t.Took.Seconds())}
			if len(t.Failures) > 0 {
				s.Failures++
				c.Failure = &failure{Message: t.Failures[0], Text: strings.Join(t.Failures, "\n")}
			}
			s.Cases = append(s.Cases, c)
		}
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
