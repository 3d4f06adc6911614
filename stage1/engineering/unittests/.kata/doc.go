// Package unittests holds the directives of a kata in which the learner writes
// the tests. Its intents are the subjects beside this file.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go test runner
//kata:forbid "time".Sleep "time".After "time".Tick "time".NewTimer "time".NewTicker "time".AfterFunc
package unittests
