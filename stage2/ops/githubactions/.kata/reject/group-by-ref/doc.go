// A push to main cancels the run of the one before, whose failure nobody learns of.
//
//kata:caught-by TestConcurrency
package githubactions
