// The token comes by --build-arg: its value stays in the build's history and provenance.
//
//kata:caught-by TestNoSecretInLayers
package dockerfile
