package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/msg"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Error   *junitMessage `xml:"error,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes a test suite for each kata and a test case for each intent. What
// was not run because something else is wrong is an error there, never a skip:
// dashboards take skips for good.
func JUnit(w io.Writer, r *grade.Report, o Options) error {
	all := junitSuites{Name: "roadkata"}
	for i := range r.Katas {
		s := junitKata(&r.Katas[i], o.Lang)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
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

func junitKata(k *grade.Kata, l msg.Lang) junitSuite {
	s := junitSuite{Name: k.Path, Time: fmt.Sprintf("%.3f", k.Seconds), Properties: []junitProperty{
		{"title", k.Title.In(string(l))},
		{"status", string(k.Status)},
		{"engine", k.Engine.Kind + " " + k.Engine.Name},
	}}
	for _, u := range k.Unchecked {
		s.Properties = append(s.Properties, junitProperty{"unchecked", u})
	}
	for i := range k.Problems {
		s.Cases = append(s.Cases, junitProblem(k, &k.Problems[i]))
	}
	for i := range k.Intents {
		s.Cases = append(s.Cases, junitIntent(k, &k.Intents[i], l))
	}
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	return s
}

func junitProblem(k *grade.Kata, p *course.Problem) junitCase {
	m := &junitMessage{Message: firstLine(p.Text), Type: p.Kind, Text: p.String()}
	c := junitCase{Name: p.Kind, Class: k.Path}
	if k.Status == grade.Broken {
		c.Error = m
	} else {
		c.Failure = m
	}
	return c
}

func junitIntent(k *grade.Kata, in *grade.Intent, l msg.Lang) junitCase {
	c := junitCase{Name: in.Name, Class: k.Path, Output: strings.Join(in.Output, "\n")}
	sentence := in.Text.In(string(l))
	m := &junitMessage{Message: sentence, Type: string(in.Status), Text: in.At}
	if in.Because != nil {
		m.Type = string(in.Because.Kind)
		m.Text = strings.TrimSpace(in.Because.Text + "\n" + in.At)
	}
	switch {
	case in.Status == grade.Passed:
	case k.Status == grade.Untouched:
		c.Skipped = &junitMessage{Message: l.T("kata.untouched")}
	case in.Unmet():
		c.Skipped = &junitMessage{Message: in.Because.Text}
	case in.Status == grade.Failed:
		c.Failure = m
	default:
		c.Error = m
	}
	return c
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
