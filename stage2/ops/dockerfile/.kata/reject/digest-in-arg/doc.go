// The digest comes in by an ARG whose default is a tag: who does not pass it builds from whatever is there today.
//
//kata:caught-by TestPinned
package dockerfile
