// The credential is written by a here-document, "in the build stage only": it stands in that stage's layers and in version control.
//
//kata:caught-by TestNoSecretInLayers
package dockerfile
