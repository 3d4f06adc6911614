// Package lease holds the directives of a kata in which the learner writes the
// tests. Its intents are the subjects beside this file.
//
//kata:level 3
//kata:minutes 90
//kata:engine real Go test runner, virtual time
//kata:timeout 3s
package lease
