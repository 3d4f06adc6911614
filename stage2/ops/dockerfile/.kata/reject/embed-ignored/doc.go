// "Only Go files are compiled": .dockerignore keeps the page out that a //go:embed wants.
//
//kata:caught-by TestBuilds
package dockerfile
