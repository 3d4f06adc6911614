package flink_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/roadkata/roadkata/stage4/bigdata/flink"
)

// The readings arrive in any order; the windows go by the time at which they were measured.
func TestExampleWindowed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	build := func(s beam.Scope, readings beam.PCollection) beam.PCollection {
		return flink.Windowed(s, readings, flink.Policy{Size: 10 * time.Second})
	}
	got, err := flink.Run(ctx, build, flink.Step{Readings: []flink.Reading{
		{Sensor: "door", At: 8 * time.Second, Value: 6},
		{Sensor: "door", At: 3 * time.Second, Value: 4},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []flink.Pane{{Sensor: "door", Start: 0, End: 10 * time.Second, Summary: flink.Summary{Count: 2, Min: 4, Max: 6, Mean: 5}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Windowed gives %+v, want %+v", got, want)
	}
}

// A checkpoint waits for its barrier on both inputs.
func TestExampleTask(t *testing.T) {
	var got []map[string]int64
	task := flink.NewTask(2, nil, func(flink.Message) {}, func(id int64, sums map[string]int64) { got = append(got, sums) })
	task.Receive(0, flink.Message{Kind: flink.Record, Key: "a", Value: 1})
	task.Receive(0, flink.Message{Kind: flink.Barrier, ID: 1})
	task.Receive(0, flink.Message{Kind: flink.Record, Key: "a", Value: 10}) // behind the barrier
	task.Receive(1, flink.Message{Kind: flink.Record, Key: "a", Value: 100})
	task.Receive(1, flink.Message{Kind: flink.Barrier, ID: 1})
	if want := []map[string]int64{{"a": 101}}; !reflect.DeepEqual(got, want) {
		t.Errorf("the snapshots are %v, want %v", got, want)
	}
}
