/* avsc.h — the Avro schemas, compiled in as the text of their files. */
#ifndef SHOAL_SCHEMAS_AVSC_H
#define SHOAL_SCHEMAS_AVSC_H

extern const char avsc_Atom[];
extern const char avsc_Claim[];
extern const char avsc_Control[];
extern const char avsc_Control_1[];
extern const char avsc_Control_2[];
extern const char avsc_Event[];
extern const char avsc_Event_1[];
extern const char avsc_Job[];
extern const char avsc_Job_1[];
extern const char avsc_Job_2[];
extern const char avsc_Job_3[];
extern const char avsc_Job_4[];
extern const char avsc_JobStatus[];
extern const char avsc_JobStatus_1[];
extern const char avsc_JobStatus_2[];
extern const char avsc_Shard[];
extern const char avsc_Shard_1[];
extern const char avsc_Shard_2[];

#endif
