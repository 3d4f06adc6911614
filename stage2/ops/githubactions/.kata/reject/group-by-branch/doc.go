// The group is the name of the branch: two forks whose branches are called alike cancel one another.
//
//kata:caught-by TestConcurrency
package githubactions
