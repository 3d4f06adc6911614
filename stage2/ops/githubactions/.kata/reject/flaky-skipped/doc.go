// A test that flakes under the race detector is skipped there: it flaked because of the race.
//
//kata:caught-by TestRace
package githubactions
