// A shell is brought along, "for debugging": whoever breaks in will be as glad of it.
//
//kata:caught-by TestOnlyTheProgram
package dockerfile
