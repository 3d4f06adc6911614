// One stage: the image that compiles is the image that ships, compiler, module cache and sources included.
//
//kata:caught-by TestOnlyTheProgram
package dockerfile
