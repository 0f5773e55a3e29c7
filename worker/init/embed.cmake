# Writes FILE as the C array init_program into OUT.
file (READ ${FILE} hex HEX)
string (REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
string (REGEX REPLACE "(................................................................................)" "\\1\n  " hex "${hex}")
file (WRITE ${OUT} "#include \"worker/init.h\"\n\nconst unsigned char init_program[] = {\n  ${hex}\n};\n"
                   "const unsigned long init_program_size = sizeof init_program;\n")
