// Package payment holds the directives of a kata in which the learner writes
// the tests. Its intents are the subjects beside this file.
//
//kata:level 2
//kata:minutes 75
//kata:engine real go.uber.org/mock
package payment
