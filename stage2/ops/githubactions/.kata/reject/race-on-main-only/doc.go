// The race detector is slow, so it runs on main only: that is, after the race was merged.
//
//kata:caught-by TestRace
package githubactions
