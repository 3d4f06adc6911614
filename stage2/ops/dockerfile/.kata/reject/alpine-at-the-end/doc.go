// Two stages, but the last one is a whole distribution, with a shell and a package manager for whoever breaks in.
//
//kata:caught-by TestOnlyTheProgram
package dockerfile
