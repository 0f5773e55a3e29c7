# Where completions and the manual page belong.
install (FILES ${CMAKE_CURRENT_LIST_DIR}/shoal.bash
         DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME shoal)
install (FILES ${CMAKE_CURRENT_LIST_DIR}/_shoal DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install (FILES ${CMAKE_CURRENT_LIST_DIR}/../docs/shoal.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
