// The whole working folder of the build stage is copied: the program, and every source file with it.
//
//kata:caught-by TestOnlyTheProgram
package dockerfile
