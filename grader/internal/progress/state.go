package progress

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/roadkata/roadkata/grader/internal/grade"
)

// Schema names the form of progress.json that this package writes:
//
//	{
//	  "schema": "roadkata.progress/v1",
//	  "katas": {
//	    "stage1/language/hello": {
//	      "status": "passed",              the last verdict: passed, failed or untouched
//	      "checked_at": "2026-01-02T…",    when it was given
//	      "passed_at": "2026-01-02T…",     when the kata first passed; stays whatever comes later
//	      "unchecked": ["race"],           what that last verdict leaves open
//	      "hints": 2,                      how many hints were shown
//	      "spoiled_at": "2026-01-02T…"     when the reference was shown before the kata passed
//	    }
//	  }
//	}
//
// Fields that it does not know, in any place, are kept as they are.
const Schema = "roadkata.progress/v1"

// Kata is what is remembered of one kata.
type Kata struct {
	Status    grade.Status
	CheckedAt time.Time
	PassedAt  time.Time
	Unchecked []string
	Hints     int
	SpoiledAt time.Time
}

// State is the learner's progress. The zero value is none.
type State struct {
	top   object
	katas map[string]object
}

// object is a JSON object whose fields stay as they were read.
type object map[string]json.RawMessage

// Kata returns what is remembered of the kata at path; zero where nothing is.
func (s *State) Kata(path string) Kata {
	o := s.katas[path]
	var k Kata
	o.get("status", &k.Status)
	o.get("checked_at", &k.CheckedAt)
	o.get("passed_at", &k.PassedAt)
	o.get("unchecked", &k.Unchecked)
	o.get("hints", &k.Hints)
	o.get("spoiled_at", &k.SpoiledAt)
	return k
}

// Record remembers a verdict. One that is the kata's or the grader's own fault
// says nothing about the learner and leaves no trace; neither does an untouched
// stub that nobody has ever worked on.
func (s *State) Record(v grade.Kata, now time.Time) {
	switch v.Status {
	case grade.Passed, grade.Failed:
	case grade.Untouched:
		if s.Kata(v.Path).Status == "" {
			return
		}
	default:
		return
	}
	o := s.edit(v.Path)
	o.set("status", v.Status)
	o.set("checked_at", stamp(now))
	delete(o, "unchecked")
	if len(v.Unchecked) > 0 {
		o.set("unchecked", v.Unchecked)
	}
	if v.Status == grade.Passed && s.Kata(v.Path).PassedAt.IsZero() {
		o.set("passed_at", stamp(now))
	}
}

// Restarted remembers that the learner has gone back to the stub.
func (s *State) Restarted(path string, now time.Time) {
	if s.Kata(path).Status == "" {
		return
	}
	o := s.edit(path)
	o.set("status", grade.Untouched)
	o.set("checked_at", stamp(now))
	delete(o, "unchecked")
}

// TakeHints remembers that n hints of the kata have been shown.
func (s *State) TakeHints(path string, n int) {
	if n > s.Kata(path).Hints {
		s.edit(path).set("hints", n)
	}
}

// Spoiled remembers that the reference was shown before the kata passed.
func (s *State) Spoiled(path string, now time.Time) {
	if s.Kata(path).SpoiledAt.IsZero() {
		s.edit(path).set("spoiled_at", stamp(now))
	}
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func (s *State) edit(path string) object {
	if s.katas == nil {
		s.katas = map[string]object{}
	}
	if s.katas[path] == nil {
		s.katas[path] = object{}
	}
	return s.katas[path]
}

// get decodes one field; a value of another form counts as not known and stays in the file.
func (o object) get(name string, into any) {
	if raw, ok := o[name]; ok {
		_ = json.Unmarshal(raw, into)
	}
}

func (o object) set(name string, value any) {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err) // only plain values come here
	}
	o[name] = raw
}

// encode writes the state as indented JSON with sorted keys.
func (s *State) encode() ([]byte, error) {
	top := maps.Clone(s.top)
	if top == nil {
		top = object{}
	}
	if _, ok := top["schema"]; !ok {
		top.set("schema", Schema)
	}
	if len(s.katas) > 0 {
		top.set("katas", s.katas)
	}
	data, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the progress: %w", err)
	}
	return append(data, '\n'), nil
}

// errNewer says that a later grader wrote the file in a form that this one cannot follow.
var errNewer = errors.New("it was written by a newer grader")

// decode reads progress.json. Of a damaged file it returns what stands before
// the damage, and the error.
func decode(data []byte) (*State, error) {
	s := &State{top: object{}, katas: map[string]object{}}
	if err := json.Unmarshal(data, &s.top); err != nil {
		s.top = object{}
		s.salvage(data)
		return s, err
	}
	if s.top == nil {
		s.top = object{}
		return s, errors.New("it holds null")
	}
	raw, ok := s.top["katas"]
	if !ok {
		return s, nil
	}
	delete(s.top, "katas") // from here on they stand in s.katas
	var byPath map[string]json.RawMessage
	if err := json.Unmarshal(raw, &byPath); err != nil {
		if s.newer() {
			return s, errNewer
		}
		return s, err
	}
	var bad []string
	for path, raw := range byPath {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil || o == nil {
			bad = append(bad, path)
			continue
		}
		s.katas[path] = o
	}
	if len(bad) == 0 {
		return s, nil
	}
	if s.newer() {
		return s, errNewer
	}
	slices.Sort(bad)
	return s, fmt.Errorf("the entry of %s is no object", strings.Join(bad, ", "))
}

func (s *State) newer() bool {
	var schema string
	s.top.get("schema", &schema)
	return strings.HasPrefix(schema, "roadkata.progress/") && schema != Schema
}

// salvage reads the entries of katas up to the place where the text breaks off.
func (s *State) salvage(data []byte) {
	i := bytes.Index(data, []byte(`"katas"`))
	if i < 0 {
		return
	}
	rest := bytes.TrimLeft(data[i+len(`"katas"`):], " \t\r\n:")
	dec := json.NewDecoder(bytes.NewReader(rest))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return
	}
	for dec.More() {
		t, err := dec.Token()
		path, ok := t.(string)
		if err != nil || !ok {
			return
		}
		var o object
		if dec.Decode(&o) != nil {
			return
		}
		if o != nil {
			s.katas[path] = o
		}
	}
}
