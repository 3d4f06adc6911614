// Percentiles.
//
//kata:zh 百分位
package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each percentile is within 1 % of the duration at its rank, from a microsecond to an hour.
//
//kata:zh 从一微秒到一小时，每个百分位与其名次上的耗时相差不超过 1 %。
func TestPercentilesAreClose(t *testing.T) {
	var uniform, exponential, bimodal []int
	for i := range 1000 {
		uniform = append(uniform, 1+i*1000)
		exponential = append(exponential, int(math.Exp(float64(i)/1000*math.Log(3.6e9))))
		bimodal = append(bimodal, 1000+i%7)
		if i%10 == 0 {
			bimodal[i] = 5_000_000 + i
		}
	}
	for _, tc := range []struct {
		name   string
		micros []int
	}{
		{"0.2 ms to 1 s, evenly", uniform},
		{"1 µs to 1 h, each power of ten as often", exponential},
		{"9 in 10 about 1 ms, 1 in 10 about 5 s", bimodal},
		{"one line", []int{123_457}},
		{"1, 2, 3, 4 ms", []int{4000, 1000, 3000, 2000}},
		{"ten lines up to 1 h and one of 100,000 s", []int{10, 20, 30, 40, 50, 60, 70, 80, 90, 3_600_000_000, 100_000_000_000}},
		{"mostly nothing", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 7}},
	} {
		var log strings.Builder
		for i := range tc.micros {
			log.WriteString(timed("/", tc.micros[(i*7)%len(tc.micros)]) + "\n")
		}
		if len(tc.micros)%7 == 0 {
			t.Fatal("the test's own permutation repeats")
		}
		sorted := slices.Sorted(slices.Values(tc.micros))
		ps := []float64{50, 0.1, 1, 25, 75, 90, 99, 99.9, 100}
		got := rows(t, "percentile seconds", log.String(), "latency", "-p", "50,0.1,1,25,75,90,99,99.9,100")
		if len(got) != len(ps) {
			t.Fatalf("latency -p with %d percentiles printed %d rows", len(ps), len(got))
		}
		for i, p := range ps {
			rank := int(math.Ceil(math.Round(p*float64(len(sorted))*10) / 1000)) // ⌈p/100 · n⌉ without rounding errors
			want := float64(sorted[rank-1]) / 1e6
			seconds, ok := got[i][1].(float64)
			far := math.Abs(seconds-want) > want*0.01+1e-12 && want <= 3600 // beyond that any number will do
			if got[i][0] != p || !ok || far {
				t.Errorf("%s: percentile %v of %d lines: got row %v, want %v s ± 1 %%", tc.name, p, len(sorted), got[i], want)
			}
		}
	}
	if got := fmt.Sprint(rows(t, "percentile seconds", timed("/", 0), "latency")); got != "[[50 0] [90 0] [99 0]]" {
		t.Errorf("latency of one line that took 0 s = %s, want percentiles 50, 90 and 99 of 0 s", got)
	}
}

// 20 MB of log with 250,000 different durations need no more memory than 4 MB.
//
//kata:zh 20 MB 日志、25 万个各不相同的耗时，所需内存不比 4 MB 日志更多。
func TestPercentilesInBoundedMemory(t *testing.T) {
	const first, n = 2_000, 250_000
	agent := strings.Repeat("A", 2000) // 4 MB are read before there are many durations
	durations := func(from, to int) func(io.Writer) {
		return func(w io.Writer) {
			chunk := make([]byte, 0, 1<<20)
			for i := from; i < to; i++ {
				chunk = append(chunk, `h - - [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 1`...)
				if i < first {
					chunk = append(append(append(chunk, ` "-" "`...), agent...), '"')
				}
				chunk = append(chunk, " 0."...)
				micros := i*7919%n + 1 // each of 1 … n once
				digits := len(chunk)
				chunk = strconv.AppendInt(chunk, int64(1_000_000+micros), 10)
				chunk = append(chunk[:digits], chunk[digits+1:]...)
				chunk = append(chunk, '\n')
				if len(chunk) > cap(chunk)-3000 || i == to-1 {
					if _, err := w.Write(chunk); err != nil {
						t.Errorf("latency stopped reading after %d of %d lines", i, n)
						return
					}
					chunk = chunk[:0]
				}
			}
		}
	}
	stdout, memory := feed(t, durations(0, first), durations(first, n), "latency", "-p", "1,50,99,100", "-o", "json")

	var got []struct{ Percentile, Seconds float64 }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || len(got) != 4 {
		t.Fatalf("latency -p 1,50,99,100 of %d lines printed %s", n, stdout)
	}
	for _, row := range got {
		if want := row.Percentile / 100 * n / 1e6; math.Abs(row.Seconds-want) > want*0.01 {
			t.Errorf("durations of 1 to %d µs, each once: percentile %v = %v s, want %v s ± 1 %%", n, row.Percentile, row.Seconds, want)
		}
	}
	memory.check(t, fmt.Sprintf("latency, reading %d different durations,", n))
}

// A line without a duration says nothing about durations; it is not one of zero.
//
//kata:zh 没有耗时的行不参与耗时统计，不能当作零。
func TestPercentilesSkipLinesWithoutDuration(t *testing.T) {
	var log strings.Builder
	for range 50 {
		log.WriteString(combined("/", "no duration") + "\n")
	}
	without := log.String()
	for i := range 10 {
		log.WriteString(timed("/", 1000*(i+1)) + "\n")
	}
	if got := rows(t, "percentile seconds", log.String(), "latency", "-p", "50"); len(got) != 1 || math.Abs(got[0][1].(float64)-0.005) > 0.00005 {
		t.Errorf("50 lines without a duration, ten of 1 to 10 ms: latency -p 50 = %v, want 0.005 s ± 1 %%", got)
	}
	if got := rows(t, "percentile seconds", without, "latency"); len(got) != 0 {
		t.Errorf("50 lines without a duration: latency = %v, want no rows", got)
	}
}
