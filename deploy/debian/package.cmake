# The Debian package, by CPack: cpack -G DEB --config build/release/CPackConfig.cmake.
set (CPACK_GENERATOR DEB)
set (CPACK_PACKAGE_NAME shoal)
set (CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set (CPACK_PACKAGE_CONTACT "The shoal authors <maintainers@shoal.example>")
set (CPACK_PACKAGE_DESCRIPTION_SUMMARY "run one container image over very many input files")
set (CPACK_PACKAGING_INSTALL_PREFIX /usr)
set (CPACK_STRIP_FILES ON)
set (CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/stage.cmake)
set (CPACK_SHOAL_SOURCE ${PROJECT_SOURCE_DIR})

set (CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set (CPACK_DEBIAN_PACKAGE_RELEASE 1)
set (CPACK_DEBIAN_PACKAGE_SECTION utils)
set (CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Who makes the user and the folders; a container has no systemd.
set (CPACK_DEBIAN_PACKAGE_DEPENDS
     "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles")
set (CPACK_DEBIAN_PACKAGE_RECOMMENDS "crun | runc, umoci, skopeo, ca-certificates")
set (CPACK_DEBIAN_PACKAGE_DESCRIPTION
"It slices a folder, a bucket or a CID into shards, runs one container a shard
on this machine or on a fleet of workers that share a queue on Kafka, and
merges the outputs into one result. Failed shards are retried and can be run
again alone.
.
The services are installed as systemd units, and none is started.")
set (CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set (CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
     ${CMAKE_CURRENT_LIST_DIR}/conffiles ${CMAKE_CURRENT_LIST_DIR}/postinst
     ${CMAKE_CURRENT_LIST_DIR}/prerm ${CMAKE_CURRENT_LIST_DIR}/postrm)
include (CPack)
